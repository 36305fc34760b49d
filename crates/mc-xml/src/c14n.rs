//! Canonical XML 1.0, inclusive and exclusive, without comments (W3C REC-xml-c14n-20010315).

use crate::dom::{Attribute, Element, Node, XML_NS};
use crate::writer::{
    Scope, escape_attribute, escape_text, qualified, write_attribute, write_instruction,
};

/// Which canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canonicalization {
    /// `http://www.w3.org/TR/2001/REC-xml-c14n-20010315`.
    Inclusive,
    /// `http://www.w3.org/2001/10/xml-exc-c14n#`, without a prefix list.
    Exclusive,
}

impl Canonicalization {
    /// The algorithm identifier.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Inclusive => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            Self::Exclusive => "http://www.w3.org/2001/10/xml-exc-c14n#",
        }
    }

    /// The canonical form an algorithm identifier names.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        [Self::Inclusive, Self::Exclusive]
            .into_iter()
            .find(|c| c.uri() == uri)
    }
}

/// The canonical octets of `target`, which sits under `ancestors` (outermost first) in its document.
#[must_use]
pub fn canonicalise(form: Canonicalization, ancestors: &[&Element], target: &Element) -> String {
    let mut scope = Scope::default();
    let mut inherited: Vec<&Attribute> = Vec::new();
    for ancestor in ancestors {
        for (prefix, ns) in &ancestor.declarations {
            scope.push(prefix, ns);
        }
        for attribute in ancestor.attributes.iter().filter(|a| a.ns == XML_NS) {
            inherited.retain(|a| a.local != attribute.local);
            inherited.push(attribute);
        }
    }
    if form == Canonicalization::Exclusive {
        inherited.clear();
    }
    let mut out = String::new();
    let mut canon = Canon {
        form,
        scope,
        rendered: Scope::default(),
        out: &mut out,
    };
    canon.element(target, &inherited);
    out
}

struct Canon<'o> {
    form: Canonicalization,
    /// What the document has in scope.
    scope: Scope,
    /// What the output has declared so far.
    rendered: Scope,
    out: &'o mut String,
}

impl Canon<'_> {
    fn element(&mut self, element: &Element, inherited: &[&Attribute]) {
        let scope_mark = self.scope.len();
        let rendered_mark = self.rendered.len();
        for (prefix, ns) in &element.declarations {
            self.scope.push(prefix, ns);
        }
        let name = qualified(&element.prefix, &element.local);
        self.out.push('<');
        self.out.push_str(&name);
        self.namespaces(element);
        self.attributes(element, inherited);
        self.out.push('>');
        for node in &element.children {
            match node {
                Node::Element(child) => self.element(child, &[]),
                Node::Text(text) => escape_text(text, self.out),
                Node::Instruction(target, data) => write_instruction(target, data, self.out),
                Node::Comment(_) => {}
            }
        }
        self.out.push_str("</");
        self.out.push_str(&name);
        self.out.push('>');
        self.scope.truncate(scope_mark);
        self.rendered.truncate(rendered_mark);
    }

    fn namespaces(&mut self, element: &Element) {
        let mut wanted: Vec<String> = match self.form {
            Canonicalization::Inclusive => {
                let mut all: Vec<String> = self
                    .scope
                    .bindings()
                    .iter()
                    .map(|(p, _)| p.clone())
                    .collect();
                all.push(String::new());
                all
            }
            Canonicalization::Exclusive => element
                .attributes
                .iter()
                .filter(|a| !a.prefix.is_empty())
                .map(|a| a.prefix.clone())
                .chain([element.prefix.clone()])
                .collect(),
        };
        wanted.sort();
        wanted.dedup();
        for prefix in wanted.iter().filter(|p| *p != "xml") {
            let Some(ns) = self.scope.lookup(prefix).map(str::to_owned) else {
                continue;
            };
            if self.rendered.lookup(prefix) == Some(ns.as_str()) {
                continue;
            }
            self.rendered.push(prefix, &ns);
            self.out.push_str(if prefix.is_empty() {
                " xmlns"
            } else {
                " xmlns:"
            });
            self.out.push_str(prefix);
            self.out.push_str("=\"");
            escape_attribute(&ns, self.out);
            self.out.push('"');
        }
    }

    fn attributes(&mut self, element: &Element, inherited: &[&Attribute]) {
        let own = |a: &&&Attribute| {
            !element
                .attributes
                .iter()
                .any(|e| e.ns == a.ns && e.local == a.local)
        };
        let mut all: Vec<&Attribute> = inherited
            .iter()
            .filter(own)
            .copied()
            .chain(&element.attributes)
            .collect();
        all.sort_by(|a, b| (&a.ns, &a.local).cmp(&(&b.ns, &b.local)));
        for attribute in all {
            write_attribute(attribute, self.out);
        }
    }
}
