//! ECCSI, step by step (RFC 6507).

use super::args::{Args, Field};
use super::op::{Op, Results, hex, results};
use mikey_sakke::eccsi::{AuthenticationKey, AuthenticationSecret, SigningKey};
use serde_json::Map;

const KSAK: Field = Field::hex("ksak");
const KPAK: Field = Field::hex("kpak");
const ID: Field = Field::hex("id");
const SSK: Field = Field::hex("ssk");
const PVT: Field = Field::hex("pvt");
const MESSAGE: Field = Field::hex("message");
const SIGNATURE: Field = Field::hex("signature");

pub(super) const OPS: &[Op] = &[
    Op {
        name: "eccsi.public",
        fields: &[KSAK],
        either: &[],
        results: &[KPAK],
        about: "KPAK of a KMS (4.2)",
        run: public,
    },
    Op {
        name: "eccsi.keypair",
        fields: &[KSAK, ID, Field::hex("v").optional()],
        either: &[],
        results: &[SSK, PVT],
        about: "issues a signing key; `v` reproduces published ones (5.1.1)",
        run: keypair,
    },
    Op {
        name: "eccsi.validate",
        fields: &[KPAK, ID, SSK, PVT],
        either: &[],
        results: &[],
        about: "whether a signing key belongs to an identifier and a KMS (5.1.2)",
        run: validate,
    },
    Op {
        name: "eccsi.sign",
        fields: &[KPAK, ID, SSK, PVT, MESSAGE, Field::hex("j").optional()],
        either: &[],
        results: &[SIGNATURE],
        about: "signs; `j` reproduces published signatures (5.2.1)",
        run: sign,
    },
    Op {
        name: "eccsi.verify",
        fields: &[KPAK, ID, MESSAGE, SIGNATURE],
        either: &[],
        results: &[],
        about: "whether a signature holds (5.2.2)",
        run: verify,
    },
];

fn public(args: &Args<'_>) -> Results {
    let secret = AuthenticationSecret::from_octets(&args.octets("ksak")?)?;
    results([("kpak", hex(secret.public_key().octets()))])
}

fn keypair(args: &Args<'_>) -> Results {
    let secret = AuthenticationSecret::from_octets(&args.octets("ksak")?)?;
    let id = args.octets("id")?;
    let key = if args.has("v") {
        secret.issue_reproducibly(&id, &args.octets("v")?)?
    } else {
        secret.issue(&id, &mut mc_runtime::rng())?
    };
    results([("ssk", hex(key.ssk().as_slice())), ("pvt", hex(key.pvt()))])
}

fn signing_key(args: &Args<'_>) -> Result<SigningKey, super::Error> {
    let kpak = AuthenticationKey::from_octets(&args.octets("kpak")?)?;
    let (id, ssk, pvt) = (args.octets("id")?, args.octets("ssk")?, args.octets("pvt")?);
    Ok(SigningKey::validated(&kpak, &id, &ssk, &pvt)?)
}

fn validate(args: &Args<'_>) -> Results {
    signing_key(args).map(|_| Map::new())
}

fn sign(args: &Args<'_>) -> Results {
    let key = signing_key(args)?;
    let message = args.octets("message")?;
    let signature = if args.has("j") {
        key.sign_reproducibly(&message, &args.octets("j")?)?
    } else {
        key.sign(&message, &mut mc_runtime::rng())?
    };
    results([("signature", hex(signature))])
}

fn verify(args: &Args<'_>) -> Results {
    let kpak = AuthenticationKey::from_octets(&args.octets("kpak")?)?;
    let (id, message) = (args.octets("id")?, args.octets("message")?);
    kpak.verify(&id, &message, &args.octets("signature")?)?;
    Ok(Map::new())
}
