//! Configuration templates: TOML with `{{name}}` places, filled in for one lab.

use std::collections::BTreeMap;

/// Why a template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A place names a value that the lab does not have.
    #[error("line {line}: nothing is known as {{{{{name}}}}}")]
    Unknown {
        /// Line of the template, from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// A place is not closed on its line.
    #[error("line {line}: {{{{ without }}}}")]
    Open {
        /// Line of the template, from 1.
        line: usize,
    },
}

/// Fills in a template.
///
/// # Errors
/// When a place is not closed or names nothing.
pub fn render(template: &str, values: &BTreeMap<String, String>) -> Result<String, RenderError> {
    let mut out = String::with_capacity(template.len());
    for (index, text) in template.lines().enumerate() {
        let line = index + 1;
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, behind) = after.split_once("}}").ok_or(RenderError::Open { line })?;
            let unknown = || RenderError::Unknown {
                line,
                name: name.to_owned(),
            };
            out.push_str(before);
            out.push_str(values.get(name.trim()).ok_or_else(unknown)?);
            rest = behind;
        }
        out.push_str(rest);
        out.push('\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_places_and_names_what_is_unknown() {
        let values = BTreeMap::from([("kms".to_owned(), "127.0.0.1:1".to_owned())]);
        assert_eq!(
            render("a = '{{kms}}' # {{ kms }}", &values).unwrap(),
            "a = '127.0.0.1:1' # 127.0.0.1:1\n"
        );
        let unknown = RenderError::Unknown {
            line: 2,
            name: "gms".to_owned(),
        };
        assert_eq!(render("x\n{{gms}}", &values), Err(unknown));
        assert_eq!(render("{{kms", &values), Err(RenderError::Open { line: 1 }));
    }
}
