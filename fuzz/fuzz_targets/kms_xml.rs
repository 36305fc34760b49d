//! Documents of the KMS interface (TS 33.180 Annex D): what is read is written so that it reads the
//! same.
#![no_main]

use kms_protocol::{KmsCertificate, KmsRequest, KmsResponse, RedirectNames, RedirectResponse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let _ = KmsCertificate::parse(octets);
    let _ = KmsRequest::parse(octets);
    let _ = RedirectResponse::parse(octets, &RedirectNames::default());
    if let Ok(response) = KmsResponse::parse(octets) {
        let again = KmsResponse::parse(response.to_xml().as_bytes());
        assert_eq!(again.ok(), Some(response));
    }
});
