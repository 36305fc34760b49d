//! The shape of the repository, held by tests: which crate may use which, what stays free of IO,
//! and where an approach may be named.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Layer of each crate. A crate may use lower layers only; ARCHITECTURE.md shows the same table.
const LAYERS: &[(u32, &[&str])] = &[
    (0, &["mc-ids", "mc-trace"]),
    (
        10,
        &[
            "mikey-sakke",
            "mc-xml",
            "mc-sip",
            "floor-control",
            "mc-audio",
        ],
    ),
    (20, &["mikey", "kms-protocol"]),
    (30, &["mc-media", "published-domain"]),
    (35, &["mc-runtime"]),
    (40, &["mc-client"]),
    (50, &["idms", "kms", "gms", "mcptt-server"]),
    (60, &["segy", "lmr-sim"]),
    (70, &["web-ui", "lab", "testkit"]),
    (80, &["mcbox-tests", "bench-crypto"]),
];

/// Edges inside a layer that the table would forbid.
const SIDEWAYS: &[(&str, &str)] = &[
    ("mc-trace", "mc-ids"),
    ("testkit", "lab"),
    ("kms-protocol", "mikey"),
];

/// What a sans-IO crate must not touch, and why.
const NO_IO: &[(&str, &str)] = &[
    ("tokio::", "sockets and timers belong to mc-runtime"),
    ("axum::", "HTTP belongs to mc-runtime and the services"),
    ("sqlx::", "storage belongs to the services"),
    ("Instant::now", "time is an argument"),
    ("SystemTime::now", "time is an argument"),
    ("SysRng", "randomness is an argument"),
    ("std::net::UdpSocket", "sockets belong to mc-runtime"),
];

const WITH_IO: &[&str] = &["mc-runtime", "mc-client"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let paths = entries.map(|e| e.unwrap().path());
    paths
        .flat_map(|p| match p.is_dir() {
            true => rust_files(&p),
            false => Vec::from_iter((p.extension().is_some_and(|e| e == "rs")).then_some(p)),
        })
        .collect()
}

fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n == "tests.rs")
        || path.components().any(|c| c.as_os_str() == "tests")
}

/// The code of a file above its inline tests.
fn shipped_code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_crate_uses_lower_layers_only() {
    let layer_of: BTreeMap<&str, u32> = LAYERS
        .iter()
        .flat_map(|(l, names)| names.iter().map(move |n| (*n, *l)))
        .collect();
    let metadata = metadata();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some(layer) = layer_of.get(name) else {
            wrong.push(format!("{name} has no layer in tests/architecture.rs"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            let shipped = dependency["kind"].is_null();
            let Some(used_layer) = layer_of.get(used).filter(|_| shipped) else {
                continue;
            };
            if used_layer >= layer && !SIDEWAYS.contains(&(name, used)) {
                wrong.push(format!(
                    "{name} (layer {layer}) uses {used} (layer {used_layer})"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn protocol_crates_are_free_of_io() {
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let dir = entry.unwrap().path();
        if WITH_IO.contains(&dir.file_name().unwrap().to_str().unwrap()) {
            continue;
        }
        for file in rust_files(&dir.join("src"))
            .iter()
            .filter(|f| !is_test_file(f))
        {
            let code = shipped_code(file);
            for (word, why) in NO_IO.iter().filter(|(word, _)| code.contains(word)) {
                wrong.push(format!("{}: {word} ({why})", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_mc_sip_knows_the_sip_library() {
    let metadata = metadata();
    let users = metadata["packages"].as_array().unwrap().iter().filter(|p| {
        let dependencies = p["dependencies"].as_array().unwrap();
        dependencies.iter().any(|d| d["name"] == "rsipstack")
    });
    let users: Vec<_> = users.map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(users, ["mc-sip"]);
}

#[test]
fn an_approach_is_named_in_its_own_module_only() {
    let segy = root().join("segy/src");
    let own = |p: &Path| {
        let path = p.strip_prefix(&segy).unwrap().to_str().unwrap();
        path.starts_with("approach") || path.starts_with("config")
    };
    let files = rust_files(&segy);
    let wrong: Vec<_> = files
        .iter()
        .filter(|p| !own(p) && !is_test_file(p) && shipped_code(p).contains("Approach::"))
        .collect();
    assert!(
        wrong.is_empty(),
        "match on the axes of the profile instead: {wrong:#?}"
    );
}

#[test]
fn no_file_is_too_long_to_read() {
    const LIMIT: usize = 800;
    let dirs = ["crates", "services", "segy", "lmr-sim", "web-ui", "lab"].map(|d| root().join(d));
    let files = dirs
        .iter()
        .flat_map(|d| rust_files(d))
        .filter(|f| !is_test_file(f));
    let long: Vec<_> = files
        .map(|f| (shipped_code(&f).lines().count(), f))
        .filter(|(lines, _)| *lines > LIMIT)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}
