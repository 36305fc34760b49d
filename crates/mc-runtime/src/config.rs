//! Configuration files: one TOML per service, overridden field by field from the environment.
//!
//! `KMS__HTTP__LISTEN=0.0.0.0:8442` overrides `http.listen` of the service whose prefix is `KMS`.
//! Unknown fields are refused (the structs say `deny_unknown_fields`), and an error names the
//! file, the line and the field.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Why a configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{path}: {source}")]
    Read {
        /// The file named on the command line.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML, or a field is unknown, missing or of the wrong type.
    #[error("{path}: {detail}")]
    Content {
        /// The file named on the command line.
        path: PathBuf,
        /// Line, column and field, as the TOML reader reports them.
        detail: String,
    },
    /// An environment variable names a place inside a value that is not a table.
    #[error("environment variable {name}: {detail}")]
    Environment {
        /// The variable.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// Loads `path`, applies the overrides that this process's environment holds for `prefix`.
///
/// # Errors
/// See [`ConfigError`].
pub fn load<T: DeserializeOwned>(path: &Path, prefix: &str) -> Result<T, ConfigError> {
    let read = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(read)?;
    parse(&text, path, prefix, std::env::vars())
}

/// Parses a configuration text; `path` is used in error messages only.
///
/// # Errors
/// See [`ConfigError`].
pub fn parse<T: DeserializeOwned>(
    text: &str,
    path: &Path,
    prefix: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let content = |detail: String| ConfigError::Content {
        path: path.to_owned(),
        detail,
    };
    let start = format!("{prefix}__");
    let overrides: Vec<_> = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with(&start))
        .collect();
    if overrides.is_empty() {
        return toml::from_str(text).map_err(|e| content(e.to_string()));
    }
    let mut table: toml::Table = toml::from_str(text).map_err(|e| content(e.to_string()))?;
    for (name, value) in overrides {
        let keys: Vec<String> = name[start.len()..]
            .split("__")
            .map(str::to_ascii_lowercase)
            .collect();
        override_field(&mut table, &keys, &value)
            .map_err(|detail| ConfigError::Environment { name, detail })?;
    }
    // Back through text, so that the message shows the offending line of the merged result.
    let merged = toml::to_string(&table).map_err(|e| content(e.to_string()))?;
    toml::from_str(&merged).map_err(|e| content(format!("with environment overrides: {e}")))
}

fn override_field(table: &mut toml::Table, keys: &[String], value: &str) -> Result<(), String> {
    let Some((key, rest)) = keys.split_first() else {
        return Err("names no field".to_owned());
    };
    if rest.is_empty() {
        table.insert(key.clone(), toml_value(value));
        return Ok(());
    }
    let inner = table
        .entry(key.clone())
        .or_insert_with(|| toml::Value::Table(toml::Table::new()))
        .as_table_mut()
        .ok_or_else(|| format!("`{key}` is not a table"))?;
    override_field(inner, rest, value)
}

/// A value written as TOML keeps its type (`5`, `true`, `["a"]`); anything else is a string.
fn toml_value(text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {text}"));
    match parsed.ok().and_then(|mut table| table.remove("value")) {
        Some(value) => value,
        None => toml::Value::String(text.to_owned()),
    }
}

/// A secret of a configuration: wiped on drop, printed as its length only.
#[derive(Clone, serde::Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Config {
        name: String,
        http: Http,
    }

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Http {
        listen: String,
        limit: u32,
    }

    const TEXT: &str = "name = 'kms'\n[http]\nlisten = '127.0.0.1:0'\nlimit = 5\n";

    fn parse_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = environment
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        parse(text, Path::new("kms.toml"), "KMS", environment)
    }

    #[test]
    fn the_environment_overrides_single_fields() {
        let environment = [
            ("KMS__HTTP__LISTEN", "0.0.0.0:1"),
            ("KMS__HTTP__LIMIT", "7"),
            ("OTHER__NAME", "x"),
        ];
        let config = parse_with(TEXT, &environment).unwrap();
        assert_eq!(config.name, "kms");
        assert_eq!(
            config.http,
            Http {
                listen: "0.0.0.0:1".to_owned(),
                limit: 7
            }
        );
    }

    #[test]
    fn an_unknown_field_is_named_with_its_file() {
        let error = parse_with(&format!("{TEXT}tiemout = 3\n"), &[])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("kms.toml") && error.contains("tiemout"),
            "{error}"
        );
        let error = parse_with(TEXT, &[("KMS__HTTP__LSTEN", "x")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("kms.toml") && error.contains("lsten"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = parse_with("name = 'kms'\n[http]\nlimit = 1\n", &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("listen"), "{error}");
    }

    #[test]
    fn an_override_cannot_descend_into_a_scalar() {
        let error = parse_with(TEXT, &[("KMS__NAME__FIRST", "x")]).unwrap_err();
        assert!(matches!(error, ConfigError::Environment { .. }), "{error}");
    }

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "[7 bytes]");
        assert_eq!(secret.expose(), "hunter2");
    }
}
