//! Serialisation of a tree, adding the namespace declarations that are not in scope.

use crate::dom::{Attribute, Element, Node, XML_NS};

/// Namespace bindings in scope, innermost last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope(Vec<(String, String)>);

impl Scope {
    /// The namespace bound to `prefix`; the empty prefix is bound to no namespace at first.
    pub(crate) fn lookup(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_NS);
        }
        self.0
            .iter()
            .rev()
            .find(|(p, _)| p == prefix)
            .map(|(_, ns)| ns.as_str())
            .or(if prefix.is_empty() { Some("") } else { None })
    }

    pub(crate) fn push(&mut self, prefix: &str, ns: &str) {
        self.0.push((prefix.to_owned(), ns.to_owned()));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(crate) fn bindings(&self) -> &[(String, String)] {
        &self.0
    }
}

/// The document with an XML declaration and a final line end.
pub(crate) fn document(root: &Element) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    write_element(root, &mut Scope::default(), &mut out);
    out.push('\n');
    out
}

/// The element alone.
pub(crate) fn fragment(element: &Element) -> String {
    let mut out = String::new();
    write_element(element, &mut Scope::default(), &mut out);
    out
}

/// The children of `element` as they stand, each declaring the namespaces it needs on its own.
pub(crate) fn content(element: &Element) -> String {
    let mut out = String::new();
    let mut scope = Scope::default();
    for node in &element.children {
        write_node(node, &mut scope, &mut out);
    }
    out
}

fn write_element(element: &Element, scope: &mut Scope, out: &mut String) {
    let mark = scope.len();
    let mut declarations = element.declarations.clone();
    for (prefix, ns) in &declarations {
        scope.push(prefix, ns);
    }
    let mut need = |prefix: &str, ns: &str, scope: &mut Scope| {
        if prefix != "xml" && scope.lookup(prefix) != Some(ns) {
            // An unprefixed element moved into a foreign default namespace, or a fresh one.
            declarations.retain(|(p, _)| p != prefix);
            declarations.push((prefix.to_owned(), ns.to_owned()));
            scope.push(prefix, ns);
        }
    };
    need(&element.prefix, &element.ns, scope);
    for attribute in element.attributes.iter().filter(|a| !a.prefix.is_empty()) {
        need(&attribute.prefix, &attribute.ns, scope);
    }
    let name = qualified(&element.prefix, &element.local);
    out.push('<');
    out.push_str(&name);
    for (prefix, ns) in &declarations {
        out.push_str(if prefix.is_empty() {
            " xmlns"
        } else {
            " xmlns:"
        });
        out.push_str(prefix);
        out.push_str("=\"");
        escape_attribute(ns, out);
        out.push('"');
    }
    for attribute in &element.attributes {
        write_attribute(attribute, out);
    }
    if element.children.is_empty() {
        out.push_str("/>");
    } else {
        out.push('>');
        for node in &element.children {
            write_node(node, scope, out);
        }
        out.push_str("</");
        out.push_str(&name);
        out.push('>');
    }
    scope.truncate(mark);
}

fn write_node(node: &Node, scope: &mut Scope, out: &mut String) {
    match node {
        Node::Element(e) => write_element(e, scope, out),
        Node::Text(t) => escape_text(t, out),
        Node::Comment(c) => {
            out.push_str("<!--");
            out.push_str(c);
            out.push_str("-->");
        }
        Node::Instruction(target, data) => write_instruction(target, data, out),
    }
}

pub(crate) fn write_instruction(target: &str, data: &str, out: &mut String) {
    out.push_str("<?");
    out.push_str(target);
    if !data.is_empty() {
        out.push(' ');
        out.push_str(data);
    }
    out.push_str("?>");
}

pub(crate) fn write_attribute(attribute: &Attribute, out: &mut String) {
    out.push(' ');
    out.push_str(&qualified(&attribute.prefix, &attribute.local));
    out.push_str("=\"");
    escape_attribute(&attribute.value, out);
    out.push('"');
}

pub(crate) fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() {
        local.to_owned()
    } else {
        format!("{prefix}:{local}")
    }
}

/// Character data as canonical XML writes it; also valid in any document.
pub(crate) fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}

/// An attribute value as canonical XML writes it.
pub(crate) fn escape_attribute(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            other => out.push(other),
        }
    }
}
