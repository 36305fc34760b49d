//! What is measured, and the keys it is measured with.

use anyhow::{Context, Result, ensure};
use getrandom::SysRng;
use mc_ids::{Csk, CskId, Gmk, GmkId, Key128 as _, KeyPeriod, KeyPurpose, KmsUri, NtpTime};
use mikey::{
    Distribution, Domains, KeyParameters, KmsCertificate, ReplayCache, Unverified, UserKeys,
    VerifyPolicy,
};
use mikey_sakke::eccsi;
use mikey_sakke::sakke::{MasterSecret, PublicKey, ReceiverSecretKey, Ssv};
use rand_core::UnwrapErr;
use std::cell::Cell;

/// Noon of 1 November 2025.
const NOW: NtpTime = NtpTime(0xecb0_7fc0_0000_0000);
const ALICE: &str = "sip:alice@example.org";

/// Operations of a batch.
const EIGHT: u32 = 8;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Operation {
    /// Its name in the table and in the JSON file.
    pub(crate) name: &'static str,
    /// The peer's name of it, if it has the like.
    pub(crate) peer: Option<&'static str>,
    /// How many operations one run is.
    pub(crate) batch: u32,
    pub(crate) run: fn(&Fixture) -> Result<()>,
}

const fn one(name: &'static str, run: fn(&Fixture) -> Result<()>) -> Operation {
    Operation {
        name,
        peer: Some(name),
        batch: 1,
        run,
    }
}

/// The rows, in order.
pub(crate) const OPERATIONS: &[Operation] = &[
    one("sakke_decapsulate", |f| {
        ensure!(f.rsk.decapsulate(&f.public, &f.id, &f.sed)? == f.ssv);
        Ok(())
    }),
    one("sakke_decapsulate_first", |f| {
        let rsk = ReceiverSecretKey::from_octets(f.rsk.octets().as_slice())?;
        ensure!(rsk.decapsulate(&f.public, &f.id, &f.sed)? == f.ssv);
        Ok(())
    }),
    one("sakke_encapsulate", |f| {
        f.public.encapsulate(&f.recipient(), &f.ssv)?;
        Ok(())
    }),
    one("sakke_issue_rsk", |f| {
        f.z.issue(&f.recipient())?;
        Ok(())
    }),
    Operation {
        name: "sakke_encapsulate_batch",
        peer: Some("sakke_encapsulate"),
        batch: EIGHT,
        run: |f| {
            let ids = [(); 8].map(|()| f.recipient());
            let recipients = ids.each_ref().map(|id| (id.as_slice(), &f.ssv));
            ensure!(f.public.encapsulate_batch(&recipients)?.len() == ids.len());
            Ok(())
        },
    },
    Operation {
        name: "sakke_issue_rsk_batch",
        peer: Some("sakke_issue_rsk"),
        batch: EIGHT,
        run: |f| {
            let ids = [(); 8].map(|()| f.recipient());
            let ids = ids.each_ref().map(|id| id.as_slice());
            ensure!(f.z.issue_batch(&ids)?.len() == ids.len());
            Ok(())
        },
    },
    one("sakke_validate_rsk", |f| {
        Ok(f.rsk.validate(&f.public, &f.id)?)
    }),
    one("sakke_rsk_tables", |f| {
        let rsk = ReceiverSecretKey::from_octets(f.rsk.octets().as_slice())?;
        Ok(rsk.prepare()?)
    }),
    one("sakke_kms_tables", |f| Ok(f.z.public_key()?.prepare()?)),
    one("eccsi_verify", |f| {
        let Sender { id, signature, .. } = f.sender()?;
        Ok(f.kpak.verify(id, f.message.as_bytes(), signature)?)
    }),
    one("eccsi_verify_known", |f| {
        let kpak = &f.kms_of_one.authentication;
        Ok(kpak.verify(&f.id, f.message.as_bytes(), &f.signature)?)
    }),
    one("eccsi_sign", |f| {
        f.signer
            .sign(f.message.as_bytes(), &mut UnwrapErr(SysRng))?;
        Ok(())
    }),
    one("eccsi_issue", |f| {
        f.ksak.issue(&f.recipient(), &mut UnwrapErr(SysRng))?;
        Ok(())
    }),
    one("mikey_read", |f| f.read(&f.kms, &f.sender()?.i_message)),
    Operation {
        name: "mikey_read_known",
        peer: Some("mikey_read"),
        batch: 1,
        run: |f| f.read(&f.kms_of_one, &f.i_message),
    },
    Operation {
        name: "mikey_make_batch",
        peer: None,
        batch: EIGHT,
        run: |f| {
            let ids = [(); 8].map(|()| format!("sip:{}@example.org", hex::encode(f.recipient())));
            let distributions = ids.each_ref().map(|id| f.distribution(&f.alice, id));
            let (key, id) = (Gmk::from_octets(*f.ssv), f.gmk_id);
            let made = Distribution::gmk_batch(&distributions, &key, id, &mut UnwrapErr(SysRng));
            ensure!(made.iter().all(Result::is_ok));
            Ok(())
        },
    },
];

/// More senders than a KMS's key keeps, so that each is new when its turn comes.
const SENDERS: usize = 64;

/// One of many senders, and what it made.
#[derive(Debug)]
struct Sender {
    id: [u8; 32],
    signature: Vec<u8>,
    i_message: Vec<u8>,
}

/// Keys of a KMS and of one user, and what was made with them.
#[derive(Debug)]
pub(crate) struct Fixture {
    ksak: eccsi::AuthenticationSecret,
    kpak: eccsi::AuthenticationKey,
    z: MasterSecret,
    public: PublicKey,
    id: [u8; 32],
    signer: eccsi::SigningKey,
    rsk: ReceiverSecretKey,
    ssv: Ssv,
    sed: Vec<u8>,
    message: String,
    signature: Vec<u8>,
    kms: KmsCertificate,
    /// The same, for one sender only.
    kms_of_one: KmsCertificate,
    alice: UserKeys,
    i_message: Vec<u8>,
    gmk_id: GmkId,
    senders: Vec<Sender>,
    recipients: Cell<u32>,
    sender: Cell<usize>,
}

impl Fixture {
    pub(crate) fn new() -> Result<Self> {
        let mut rng = UnwrapErr(SysRng);
        let ksak = eccsi::AuthenticationSecret::random(&mut rng)?;
        let z = MasterSecret::random(&mut rng);
        let (kpak, public) = (ksak.public_key(), z.public_key()?);
        let kms = KmsCertificate {
            kms_uri: KmsUri::new("kms.example.org")?,
            period: KeyPeriod::new(2_592_000, 0)?,
            encryption: public.clone(),
            authentication: kpak.clone(),
            is_security_gateway: false,
            domains: Domains::Unlisted,
        };
        let kms_of_one = KmsCertificate {
            authentication: eccsi::AuthenticationKey::from_octets(kpak.octets())?,
            ..kms.clone()
        };
        let id = *kms.uid(ALICE, NOW).octets();
        let (signer, rsk) = (ksak.issue(&id, &mut rng)?, z.issue(&id)?);
        let ssv = Ssv::new([0x5C; 16]);
        let message = "an I_MESSAGE of usual length. ".repeat(16);
        let mut fixture = Self {
            sed: public.encapsulate(&id, &ssv)?.to_vec(),
            signature: signer.sign(message.as_bytes(), &mut rng)?.to_vec(),
            alice: user_keys(&kms, ALICE, (&signer, &rsk))?,
            gmk_id: GmkId::random(&mut rng),
            i_message: Vec::new(),
            senders: Vec::new(),
            ksak,
            kpak,
            z,
            public,
            id,
            signer,
            rsk,
            ssv,
            message,
            kms,
            kms_of_one,
            recipients: Cell::new(0),
            sender: Cell::new(0),
        };
        fixture.i_message = fixture.i_message_of(&fixture.alice)?;
        for number in 0..SENDERS {
            let sender = fixture.new_sender(&format!("sip:sender-{number}@example.org"))?;
            fixture.senders.push(sender);
        }
        Ok(fixture)
    }

    fn new_sender(&self, identity: &str) -> Result<Sender> {
        let mut rng = UnwrapErr(SysRng);
        let id = *self.kms.uid(identity, NOW).octets();
        let (signer, rsk) = (self.ksak.issue(&id, &mut rng)?, self.z.issue(&id)?);
        let keys = user_keys(&self.kms, identity, (&signer, &rsk))?;
        Ok(Sender {
            id,
            signature: signer.sign(self.message.as_bytes(), &mut rng)?.to_vec(),
            i_message: self.i_message_of(&keys)?,
        })
    }

    fn distribution<'a>(&'a self, initiator: &'a UserKeys, responder: &'a str) -> Distribution<'a> {
        Distribution {
            initiator,
            kms_initiator: &self.kms,
            responder,
            kms_responder: &self.kms,
            time: NOW,
            rand: [7; 16],
            to_self: false,
            key_parameters: Some(KeyParameters::in_use(KeyPurpose::Csk, None)),
        }
    }

    /// A message with a CSK to Alice.
    fn i_message_of(&self, initiator: &UserKeys) -> Result<Vec<u8>> {
        let mut rng = UnwrapErr(SysRng);
        let (key, id) = (Csk::random(&mut rng), CskId::random(&mut rng));
        let distribution = self.distribution(initiator, ALICE);
        Ok(distribution.csk(&key, id, &mut rng)?)
    }

    /// Verifies and opens a message to Alice.
    fn read(&self, kms: &KmsCertificate, i_message: &[u8]) -> Result<()> {
        let mut replay = ReplayCache::new(1);
        let message = Unverified::parse(i_message)?;
        let message = message.verify([kms], VerifyPolicy::default(), NOW, &mut replay)?;
        let opened = message.open(kms, [&self.alice])?;
        ensure!(opened.key_parameters.is_some());
        Ok(())
    }

    /// The next of many senders.
    fn sender(&self) -> Result<&Sender> {
        let number = (self.sender.get() + 1) % SENDERS;
        self.sender.set(number);
        self.senders.get(number).context("as many senders")
    }

    /// The next of many identifiers.
    fn recipient(&self) -> [u8; 32] {
        let number = self.recipients.get().wrapping_add(1);
        self.recipients.set(number);
        let mut id = self.id;
        for (octet, number) in id.iter_mut().zip(number.to_be_bytes()) {
            *octet ^= number;
        }
        id
    }

    /// What the peer computes with, by the names it knows.
    pub(crate) fn for_peer(&self) -> [(&'static str, Vec<u8>); 10] {
        [
            ("ksak", self.ksak.octets().to_vec()),
            ("z", self.z.octets().to_vec()),
            ("id", self.id.to_vec()),
            ("ssk", self.signer.ssk().to_vec()),
            ("pvt", self.signer.pvt().to_vec()),
            ("rsk", self.rsk.octets().to_vec()),
            ("sed", self.sed.clone()),
            ("ssv", self.ssv.to_vec()),
            ("message", self.message.clone().into_bytes()),
            ("signature", self.signature.clone()),
        ]
    }
}

fn user_keys(
    kms: &KmsCertificate,
    identity: &str,
    (signer, rsk): (&eccsi::SigningKey, &ReceiverSecretKey),
) -> Result<UserKeys> {
    let number = kms.period.number_at(NOW);
    let (rsk, ssk) = (rsk.octets(), signer.ssk());
    let (rsk, ssk, pvt) = (rsk.as_slice(), ssk.as_slice(), signer.pvt());
    Ok(UserKeys::validated(kms, identity, number, rsk, ssk, pvt)?)
}
