//! SAKKE, step by step (RFC 6508, parameter set 1).

use super::args::{Args, Field};
use super::op::{Op, Results, hex, results};
use mikey_sakke::sakke::{MasterSecret, PublicKey, ReceiverSecretKey, Ssv};
use serde_json::Map;

const Z: Field = Field::hex("z");
const PUBLIC: Field = Field::hex("public");
const ID: Field = Field::hex("id");
const RSK: Field = Field::hex("rsk");
const SSV: Field = Field::hex("ssv");
const SED: Field = Field::hex("sed");

pub(super) const OPS: &[Op] = &[
    Op {
        name: "sakke.public",
        fields: &[Z],
        either: &[],
        results: &[PUBLIC],
        about: "public key Z of a KMS; `z` with or without leading zeros (6.1.1)",
        run: public,
    },
    Op {
        name: "sakke.rsk",
        fields: &[Z, ID],
        either: &[],
        results: &[RSK],
        about: "issues a Receiver Secret Key (6.1.1)",
        run: rsk,
    },
    Op {
        name: "sakke.validate",
        fields: &[PUBLIC, ID, RSK],
        either: &[],
        results: &[],
        about: "whether an RSK belongs to an identifier and a KMS (6.1.2)",
        run: validate,
    },
    Op {
        name: "sakke.encapsulate",
        fields: &[PUBLIC, ID, SSV],
        either: &[],
        results: &[SED],
        about: "seals a shared secret value to an identifier (6.2.1)",
        run: encapsulate,
    },
    Op {
        name: "sakke.decapsulate",
        fields: &[PUBLIC, ID, RSK, SED],
        either: &[],
        results: &[SSV],
        about: "opens sealed data and checks R (6.2.2)",
        run: decapsulate,
    },
];

fn public(args: &Args<'_>) -> Results {
    let key = MasterSecret::from_octets(&args.octets("z")?)?.public_key()?;
    results([("public", hex(key.octets()))])
}

fn rsk(args: &Args<'_>) -> Results {
    let key = MasterSecret::from_octets(&args.octets("z")?)?.issue(&args.octets("id")?)?;
    results([("rsk", hex(key.octets().as_slice()))])
}

fn validate(args: &Args<'_>) -> Results {
    let public = PublicKey::from_octets(&args.octets("public")?)?;
    let key = ReceiverSecretKey::from_octets(&args.octets("rsk")?)?;
    key.validate(&public, &args.octets("id")?)?;
    Ok(Map::new())
}

fn encapsulate(args: &Args<'_>) -> Results {
    let public = PublicKey::from_octets(&args.octets("public")?)?;
    let sed = public.encapsulate(&args.octets("id")?, &Ssv::new(args.array("ssv")?))?;
    results([("sed", hex(sed))])
}

fn decapsulate(args: &Args<'_>) -> Results {
    let public = PublicKey::from_octets(&args.octets("public")?)?;
    let key = ReceiverSecretKey::from_octets(&args.octets("rsk")?)?;
    let ssv = key.decapsulate(&public, &args.octets("id")?, &args.octets("sed")?)?;
    results([("ssv", hex(ssv.as_slice()))])
}
