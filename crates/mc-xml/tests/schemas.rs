//! The samples against the published schemas, judged by xmllint.
//!
//! The schemas of TS 24.484 belong to 3GPP and are no part of this repository. To run this, put them
//! into a folder and name it:
//!
//! ```text
//! MCBOX_XSD=<folder with Servconf.xsd, ue-config.xsd, ...> cargo test -p mc-xml --test schemas
//! ```
//!
//! Without `MCBOX_XSD` the test says so and steps aside; with it, an absent schema is a failure.

#![expect(clippy::expect_used, reason = "test support code stops the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Schema file, sample, and an element the schema cannot do without there.
const CASES: [(&str, &str, &str); 4] = [
    (
        "Servconf.xsd",
        "service_config.xml",
        "service-configuration-params",
    ),
    ("ue-config.xsd", "ue_config.xml", "common"),
    ("ue-init-config.xsd", "ue_init_config.xml", "on-network"),
    ("mcptt-user-profile.xsd", "user_profile.xml", "Common"),
];

fn xmllint(schema: &Path, document: &Path) -> Output {
    Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .args([schema, document])
        .output()
        .expect("xmllint missing: run `make test`")
}

#[test]
fn the_published_schemas_accept_the_samples() {
    let Some(schemas) = std::env::var_os("MCBOX_XSD").map(PathBuf::from) else {
        eprintln!("MCBOX_XSD names no folder of schemas: nothing is checked");
        return;
    };
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/xml");
    let spoilt = tempfile::tempdir().unwrap();
    for (schema, sample, element) in CASES {
        let schema = schemas.join(schema);
        let output = xmllint(&schema, &samples.join(sample));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{sample}: {said}");
        // A schema that accepts everything would prove nothing.
        let text = fs::read_to_string(samples.join(sample)).unwrap();
        let wrong = text.replace(&format!("{element}>"), "no-such-element>");
        let wrong = wrong.replace(&format!("<{element} "), "<no-such-element ");
        assert_ne!(wrong, text, "{sample} has no {element}");
        let file = spoilt.path().join(sample);
        fs::write(&file, wrong).unwrap();
        assert!(
            !xmllint(&schema, &file).status.success(),
            "{sample}: the schema accepts <no-such-element>"
        );
    }
}
