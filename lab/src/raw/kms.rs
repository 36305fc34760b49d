//! KMS documents (TS 33.180 Annex D) as the certificates and key sets that `mikey.open` takes.

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::keys::{CERTIFICATES, KEYSETS, certificate_json};
use super::op::{Op, Results, hex, results};
use kms_protocol::{
    KMS_NS, KeyContentError, KeySet, KmsCertificate, KmsDocumentError, KmsMessage, KmsResponse,
    TransportKey, format_date,
};
use serde_json::{Value, json};

const TRK: &[Field] = &[Field::new("name", Type::Text), Field::hex("key")];

pub(super) const OPS: &[Op] = &[Op {
    name: "kms.parse",
    fields: &[
        Field::new("xml", Type::Document),
        Field::new("trks", Type::Objects(TRK)).optional(),
    ],
    either: &[],
    results: &[
        CERTIFICATES,
        KEYSETS,
        Field::new("certificate_details", Type::Free),
        Field::new("keyset_details", Type::Free),
        Field::new("response", Type::Free).optional(),
    ],
    about: "a KmsResponse, KmsCertificate or KmsKeySet, signed or not (the signature is not looked \
            at: see `xml.verify`). `trks` unwrap wrapped keys; the details have what \
            `mikey.open` does not take, in the same order",
    run: parse,
}];

fn parse(args: &Args<'_>) -> Results {
    let xml = args.document("xml")?;
    let trks = transport_keys(args)?;
    let root = mc_xml::parse(&xml).map_err(|e| document_error(&e.into()))?;
    let (certificates, sets, response) = match (root.ns.as_str(), root.local.as_str()) {
        (KMS_NS, "KmsCertificate" | "SignedKmsCertificate") => {
            let certificate = KmsCertificate::read(&root).map_err(|e| document_error(&e))?;
            (vec![certificate], Vec::new(), None)
        }
        (KMS_NS, "KmsKeySet") => {
            let set = KeySet::read(&root).map_err(|e| document_error(&e))?;
            (Vec::new(), vec![set], None)
        }
        _ => {
            let response = KmsResponse::parse(&xml).map_err(|e| document_error(&e))?;
            let envelope = envelope(&response);
            match response.message {
                Some(KmsMessage::Init(init)) => {
                    (vec![init.certificate], Vec::new(), Some(envelope))
                }
                Some(KmsMessage::KeyProv(prov)) => (Vec::new(), prov.key_sets, Some(envelope)),
                Some(KmsMessage::CertCache(cache)) => {
                    (cache.certificates, Vec::new(), Some(envelope))
                }
                None => (Vec::new(), Vec::new(), Some(envelope)),
            }
        }
    };
    let details: Vec<Value> = certificates.iter().map(certificate_details).collect();
    let certificates: Vec<Value> = certificates.iter().map(certificate).collect();
    let set_details: Vec<Value> = sets.iter().map(keyset_details).collect();
    let sets: Result<Vec<Value>, Error> = sets.iter().map(|set| keyset(set, &trks)).collect();
    let mut fields = results([
        ("certificates", certificates.into()),
        ("keysets", sets?.into()),
        ("certificate_details", details.into()),
        ("keyset_details", set_details.into()),
    ])?;
    if let Some(response) = response {
        fields.insert("response".to_owned(), response);
    }
    Ok(fields)
}

fn transport_keys(args: &Args<'_>) -> Result<Vec<TransportKey>, Error> {
    let trks = args.objects("trks");
    let key = |trk: &Args<'_>| Ok(TransportKey::new(trk.text("name"), trk.array("key")?));
    trks.iter().map(key).collect()
}

fn envelope(response: &KmsResponse) -> Value {
    json!({
        "user_uri": response.user_uri,
        "kms_uri": response.kms_uri.as_str(),
        "time": format_date(response.time),
        "client_req_url": response.client_req_url,
        "error": response.error.as_ref().map(|error| {
            json!({"code": error.code, "message": error.message})
        }),
    })
}

fn certificate(certificate: &KmsCertificate) -> Value {
    let keys = (
        certificate.pub_enc_key.as_slice(),
        certificate.pub_auth_key.as_slice(),
    );
    certificate_json(&certificate.kms_uri, keys, certificate.period)
}

fn certificate_details(certificate: &KmsCertificate) -> Value {
    json!({
        "role": certificate.role.map(|role| format!("{role:?}")),
        "is_security_gateway": certificate.is_security_gateway,
        "cert_uri": certificate.cert_uri,
        "issuer": certificate.issuer,
        "valid_from": certificate.valid_from.map(format_date),
        "valid_to": certificate.valid_to.map(format_date),
        "revoked": certificate.revoked,
        "user_id_format": certificate.user_id_format,
        "parameter_set": certificate.parameter_set,
        "domains": certificate.domains,
    })
}

fn keyset(set: &KeySet, trks: &[TransportKey]) -> Result<Value, Error> {
    let keys = set.keys(trks).map_err(|error| {
        let kind = match error {
            KeyContentError::NoTransportKey(_) => Kind::KeyMissing,
            KeyContentError::Integrity => Kind::Integrity,
            KeyContentError::Length => Kind::Length,
        };
        Error::new(kind, error.to_string())
    })?;
    let mut value = json!({
        "uri": set.user_uri,
        "decrypt_key": hex(keys.rsk.as_slice()),
        "ssk": hex(keys.ssk.as_slice()),
        "pvt": hex(keys.pvt.as_slice()),
        "number": set.key_period_no,
    });
    if let (Some(uid), Some(object)) = (set.uid(), value.as_object_mut()) {
        object.insert("uid".to_owned(), hex(uid.octets()));
    }
    Ok(value)
}

fn keyset_details(set: &KeySet) -> Value {
    json!({
        "kms_uri": set.kms_uri.as_str(),
        "cert_uri": set.cert_uri,
        "issuer": set.issuer,
        "user_id": set.user_id,
        "valid_from": set.valid_from.map(format_date),
        "valid_to": set.valid_to.map(format_date),
        "revoked": set.revoked,
    })
}

fn document_error(error: &KmsDocumentError) -> Error {
    Error::new(Kind::Malformed, error.to_string())
}
