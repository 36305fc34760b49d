//! What the configuration templates of a lab are filled in with.

use std::collections::BTreeMap;
use std::path::Path;

use crate::certificates::Certificates;
use crate::render::render;
use crate::state::{StateDir, StateError};
use crate::supervisor::{Setup, StartError};

/// The interconnections whose SPKs a lab draws: `{{spk-7.3-key}}` and `{{spk-7.3-rand}}` for each.
const INTERCONNECTIONS: [&str; 4] = ["partner", "7.3", "7.4", "7.5"];

/// Names of files and directories in templates.
const FILES: [&str; 7] = ["ca", "cert", "key", "data", "secrets", "trust", "logs"];

/// Writes the configuration of every service of a lab.
pub(crate) fn configure(
    state: &StateDir,
    setup: &Setup,
    certificates: &Certificates,
) -> Result<(), StartError> {
    let mut values = of_setup(setup);
    values.extend(of_state(state, certificates)?);
    for service in setup.services() {
        let data = state.file("data", service.name).display().to_string();
        values.insert("data".to_owned(), data);
        let error = |source| StartError::Template {
            service: service.name,
            source,
        };
        let mut text = render(service.template, &values).map_err(error)?;
        if setup.host() == Some(service) {
            text.push_str(&integrated(state, setup));
        }
        state.write(&state.configuration(service.name), text.as_bytes())?;
    }
    Ok(())
}

/// The part of a gateway's configuration that names the servers in its process.
fn integrated(state: &StateDir, setup: &Setup) -> String {
    let servers = setup.hosted().iter().map(|server| {
        let file = state.configuration(server.name);
        format!("{} = \"{}\"\n", server.binary, file.display())
    });
    format!("\n[integrated]\n{}", servers.collect::<String>())
}

/// What follows from how a lab is set up: addresses, switches, and what the console shows.
fn of_setup(setup: &Setup) -> BTreeMap<String, String> {
    let mut values = setup.addresses.values();
    let seen = setup.services().filter(|service| service.name != "web-ui");
    let seen = seen.map(|service| {
        let (name, url) = (service.name, service.health_url(&setup.addresses));
        format!("    {{ name = \"{name}\", health = \"{url}\" }},\n")
    });
    values.insert(
        "services".to_owned(),
        format!("[\n{}]", seen.collect::<String>()),
    );
    let approaches = setup.sites().map(|site| format!("\"{}\"", site.approach));
    let approaches = approaches.collect::<Vec<_>>().join(", ");
    values.insert("approaches".to_owned(), format!("[{approaches}]"));
    values.insert("lab_keys".to_owned(), setup.lab_keys.to_string());
    values
}

/// What templates are filled in with to be looked at before there is a lab: files and passwords are
/// empty, each drawn secret is its own name.
pub(crate) fn without_state(setup: &Setup) -> BTreeMap<String, String> {
    let mut values = of_setup(setup);
    for unseen in FILES.into_iter().chain(["password"]) {
        values.insert(unseen.to_owned(), String::new());
    }
    for secret in INTERCONNECTIONS.into_iter().flat_map(spk_secrets) {
        values.insert(secret.clone(), secret);
    }
    values
}

fn of_state(
    state: &StateDir,
    certificates: &Certificates,
) -> Result<BTreeMap<String, String>, StateError> {
    let text = |path: &Path| path.display().to_string();
    let below = |dir: &str| text(&state.root().join(dir));
    let mut values = BTreeMap::from([
        ("ca".to_owned(), text(&certificates.ca)),
        ("cert".to_owned(), text(&certificates.server)),
        ("key".to_owned(), text(&certificates.server_key)),
        ("secrets".to_owned(), below("secrets")),
        ("trust".to_owned(), below("trust")),
        ("logs".to_owned(), below("logs")),
        ("password".to_owned(), state.password()?),
    ]);
    for name in INTERCONNECTIONS.into_iter().flat_map(spk_secrets) {
        let secret = state.secret(&name)?;
        values.insert(name, secret);
    }
    Ok(values)
}

/// Names of the secrets of an interconnection's SPK.
fn spk_secrets(interconnection: &str) -> [String; 2] {
    ["key", "rand"].map(|part| format!("spk-{interconnection}-{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_shows_every_other_service_and_every_site() {
        let setup = Setup::complete();
        let values = of_setup(&setup);
        let text = format!(
            "services = {}\napproaches = {}",
            values["services"], values["approaches"]
        );
        let table: toml::Table = text.parse().unwrap();
        let services = table["services"].as_array().unwrap();
        assert_eq!(services.len() + 1, setup.services().count());
        assert_eq!(
            table["approaches"].as_array().unwrap().len(),
            setup.sites().count()
        );
    }
}
