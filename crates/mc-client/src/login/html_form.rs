//! Finds the login form of a page: the first form with a password field.
//!
//! A scanner for start tags, enough for forms; it is not an HTML parser and reads no scripts.

/// A form ready to be filled in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LoginForm {
    /// Where to post, relative to the page.
    pub(crate) action: String,
    /// Name of the field for the user name.
    pub(crate) username: String,
    /// Name of the field for the password.
    pub(crate) password: String,
    /// Hidden fields, sent back unchanged.
    pub(crate) hidden: Vec<(String, String)>,
}

impl LoginForm {
    /// The login form of `page`, if there is one.
    pub(crate) fn find(page: &str) -> Option<Self> {
        let mut tags = tags(page).peekable();
        while let Some((name, attributes)) = tags.next() {
            if name != "form" {
                continue;
            }
            let mut form = Self {
                action: attribute(attributes, "action").unwrap_or_default(),
                username: String::new(),
                password: String::new(),
                hidden: Vec::new(),
            };
            while let Some((name, attributes)) = tags.next_if(|(name, _)| *name != "form") {
                if name == "input" {
                    form.add(attributes);
                }
            }
            if !form.password.is_empty() && !form.username.is_empty() {
                return Some(form);
            }
        }
        None
    }

    fn add(&mut self, attributes: &str) {
        let Some(name) = attribute(attributes, "name") else {
            return;
        };
        let kind = attribute(attributes, "type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        match kind.as_str() {
            "hidden" => {
                self.hidden
                    .push((name, attribute(attributes, "value").unwrap_or_default()));
            }
            "password" => self.password = name,
            "" | "text" | "email" | "tel" if self.username.is_empty() => self.username = name,
            _ => {}
        }
    }
}

/// The start tags of a page: lower-case name and attribute text.
fn tags(page: &str) -> impl Iterator<Item = (&'static str, &str)> {
    page.split('<').skip(1).filter_map(|rest| {
        let (tag, _) = rest.split_once('>')?;
        ["form", "input"].into_iter().find_map(|name| {
            let start = tag.get(..name.len())?;
            let attributes = tag.get(name.len()..)?;
            let ends = attributes.starts_with(|c: char| c.is_ascii_whitespace() || c == '/')
                || attributes.is_empty();
            (ends && start.eq_ignore_ascii_case(name)).then_some((name, attributes))
        })
    })
}

/// The unescaped value of an attribute.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/')
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let (value, after) = match after.trim_start().strip_prefix('=') {
            Some(value) => quoted(value.trim_start()),
            None => ("", after),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(unescape(value));
        }
        if after.len() == rest.len() {
            return None;
        }
        rest = after;
    }
}

fn quoted(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    let end = text
        .find(|c: char| c.is_ascii_whitespace())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn unescape(text: &str) -> String {
    // The ampersand last, so that nothing is unescaped twice.
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, plain)| {
        text.replace(entity, plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_form_with_a_password() {
        let page = r#"<form action=/search><input name=q></form>
            <FORM method="post" ACTION='/login?a=1&amp;b=2'>
            <input type="hidden" name="ticket" value="x&quot;y">
            <input autofocus name="user" type="email"/><input type=checkbox name=keep>
            <input id="p" type="password" name="pass" required></FORM>"#;
        assert_eq!(
            LoginForm::find(page),
            Some(LoginForm {
                action: "/login?a=1&b=2".into(),
                username: "user".into(),
                password: "pass".into(),
                hidden: vec![("ticket".into(), "x\"y".into())],
            })
        );
    }

    #[test]
    fn hostile_pages_yield_nothing_and_end() {
        for page in [
            "",
            "<",
            "<form",
            "<form>",
            "<form ===><input type=password>",
            "<input ==",
            "<form action><input name=\"a",
            "<formx><input type=password name=p>",
            "<é><form é=é><input name=u><input é type=password name=>",
        ] {
            assert_eq!(LoginForm::find(page), None, "{page}");
        }
    }
}
