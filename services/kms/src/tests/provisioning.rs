//! The reference vector: fixed z, KSAK and v give the listed keys of every identity.

use mc_ids::{KeyPeriod, KmsUri, NtpTime};
use serde_json::Value;

use crate::issue::{Issue, current_periods};
use crate::master::Master;

fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn the_reference_keys_of_every_identity() {
    let text = include_str!("../../../../tests/vectors/kms-provisioning.json");
    let vector: Value = serde_json::from_str(text).unwrap();
    // RFC 6507 Appendix A: KSAK; RFC 6508 Appendix A: z.
    let mut ksak = [0; 32];
    ksak[29..].copy_from_slice(&[0x01, 0x23, 0x45]);
    let z = hex::decode("aff429d35f84b110d094803b3595a6e2998bc99f").unwrap();
    let z = [vec![0; 128 - z.len()], z].concat();
    let master = Master::from_octets(&ksak, &z).unwrap();
    assert_eq!(master.pub_enc_key(), octets(&vector["PubEncKey"]));
    assert_eq!(master.pub_auth_key(), octets(&vector["PubAuthKey"]));

    let period = KeyPeriod::new(2_592_000, 0).unwrap();
    let seconds = u32::from_str_radix(vector["ntp_seconds"].as_str().unwrap(), 16).unwrap();
    let number = vector["KeyPeriodNo"].as_u64().unwrap();
    assert_eq!(
        current_periods(period, NtpTime::from_seconds(seconds))[0],
        number
    );
    let kms_uri = KmsUri::new(vector["kms_uri"].as_str().unwrap()).unwrap();
    for identity in vector["identities"].as_array().unwrap() {
        let user_uri = identity["uri"].as_str().unwrap();
        let issue = Issue {
            kms_uri: &kms_uri,
            cert_uri: "c",
            period,
            user_uri,
            number,
        };
        assert_eq!(
            issue.uid().octets().to_vec(),
            octets(&identity["uid"]),
            "{user_uri}"
        );
        let v = format!("{:0>64}", identity["v"].as_str().unwrap());
        let keys = master
            .issue_reproducibly(&issue.uid(), &hex::decode(v).unwrap())
            .unwrap();
        assert_eq!(keys.rsk(), octets(&identity["rsk"]), "{user_uri}");
        assert_eq!(keys.ssk(), octets(&identity["ssk"]), "{user_uri}");
        assert_eq!(keys.pvt(), octets(&identity["pvt"]), "{user_uri}");
        assert_eq!(master.validate(&issue.uid(), &keys), Ok(()));
    }
}
