//! The document tree: elements with resolved names, in document order, nothing dropped.
//!
//! The tree keeps prefixes and namespace declarations as they were read, so an unknown element goes
//! out again as it came in and canonicalisation sees the original names.

use std::fmt;

use crate::XmlError;

/// The namespace every document has bound to the prefix `xml`.
pub const XML_NS: &str = "http://www.w3.org/XML/1998/namespace";

/// One attribute (namespace declarations are not attributes, see [`Element::declarations`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Prefix as written, empty when there is none.
    pub prefix: String,
    /// Namespace name; empty for an unprefixed attribute.
    pub ns: String,
    /// Local name.
    pub local: String,
    /// Value after reference expansion and normalisation.
    pub value: String,
}

/// One child of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// Character data, references expanded, adjacent pieces joined.
    Text(String),
    /// A comment, without the delimiters.
    Comment(String),
    /// A processing instruction: target and data.
    Instruction(String, String),
}

/// One element with its attributes, namespace declarations and children.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    /// Prefix as written, empty when there is none.
    pub prefix: String,
    /// Resolved namespace name, empty when there is none.
    pub ns: String,
    /// Local name.
    pub local: String,
    /// Namespace declarations on this element: prefix (empty = default) and namespace name.
    pub declarations: Vec<(String, String)>,
    /// Attributes in document order.
    pub attributes: Vec<Attribute>,
    /// Children in document order.
    pub children: Vec<Node>,
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element")
            .field("ns", &self.ns)
            .field("local", &self.local)
            .field("attributes", &self.attributes.len())
            .field("children", &self.children.len())
            .finish()
    }
}

impl Element {
    /// A new element without prefix in namespace `ns`; the writer declares what is not in scope.
    #[must_use]
    pub fn new(ns: &str, local: &str) -> Self {
        Self::prefixed("", ns, local)
    }

    /// A new element written with `prefix`.
    #[must_use]
    pub fn prefixed(prefix: &str, ns: &str, local: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            ns: ns.to_owned(),
            local: local.to_owned(),
            declarations: Vec::new(),
            attributes: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Adds a namespace declaration (builder form).
    #[must_use]
    pub fn declare(mut self, prefix: &str, ns: &str) -> Self {
        self.declarations.push((prefix.to_owned(), ns.to_owned()));
        self
    }

    /// Adds an unprefixed attribute (builder form).
    #[must_use]
    pub fn attr(mut self, local: &str, value: &str) -> Self {
        self.set_attribute(local, value);
        self
    }

    /// Adds a child element (builder form).
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// Adds character data (builder form).
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.children.push(Node::Text(text.to_owned()));
        self
    }

    /// Appends a child element.
    pub fn push(&mut self, child: Self) {
        self.children.push(Node::Element(child));
    }

    /// Whether this is element `local` of namespace `ns`.
    #[must_use]
    pub fn is(&self, ns: &str, local: &str) -> bool {
        self.local == local && self.ns == ns
    }

    /// The value of the unprefixed attribute `local`.
    #[must_use]
    pub fn attribute(&self, local: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|a| a.ns.is_empty() && a.local == local)
            .map(|a| a.value.as_str())
    }

    /// Sets or adds the unprefixed attribute `local`.
    pub fn set_attribute(&mut self, local: &str, value: &str) {
        if let Some(attribute) = self
            .attributes
            .iter_mut()
            .find(|a| a.ns.is_empty() && a.local == local)
        {
            value.clone_into(&mut attribute.value);
        } else {
            self.attributes.push(Attribute {
                prefix: String::new(),
                ns: String::new(),
                local: local.to_owned(),
                value: value.to_owned(),
            });
        }
    }

    /// Child elements in order.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) | Node::Comment(_) | Node::Instruction(..) => None,
        })
    }

    /// Child elements in order, mutable.
    pub fn elements_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.children.iter_mut().filter_map(|n| match n {
            Node::Element(e) => Some(e),
            Node::Text(_) | Node::Comment(_) | Node::Instruction(..) => None,
        })
    }

    /// Child elements named `local` in namespace `ns`.
    pub fn all<'a>(&'a self, ns: &'a str, local: &'a str) -> impl Iterator<Item = &'a Self> {
        self.elements().filter(move |e| e.is(ns, local))
    }

    /// The first child element named `local` in namespace `ns`.
    #[must_use]
    pub fn find(&self, ns: &str, local: &str) -> Option<&Self> {
        self.elements().find(|e| e.is(ns, local))
    }

    /// The first child element named `local` in namespace `ns`, mutable.
    #[must_use]
    pub fn find_mut(&mut self, ns: &str, local: &str) -> Option<&mut Self> {
        self.elements_mut().find(|e| e.is(ns, local))
    }

    /// The first descendant reached by following `path` in one namespace.
    #[must_use]
    pub fn descend(&self, ns: &str, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |e, local| e.find(ns, local))
    }

    /// Removes child elements named `local` of namespace `ns`; returns how many.
    pub fn remove(&mut self, ns: &str, local: &str) -> usize {
        let before = self.children.len();
        self.children
            .retain(|n| !matches!(n, Node::Element(e) if e.is(ns, local)));
        before - self.children.len()
    }

    /// All character data directly inside this element, not trimmed.
    #[must_use]
    pub fn raw_text(&self) -> String {
        self.children
            .iter()
            .filter_map(|n| match n {
                Node::Text(t) => Some(t.as_str()),
                Node::Element(_) | Node::Comment(_) | Node::Instruction(..) => None,
            })
            .collect()
    }

    /// Character data directly inside this element with XML white space trimmed.
    #[must_use]
    pub fn trimmed_text(&self) -> String {
        self.raw_text()
            .trim_matches([' ', '\t', '\n', '\r'])
            .to_owned()
    }

    /// Trimmed text of the child `local` in namespace `ns`.
    #[must_use]
    pub fn child_text(&self, ns: &str, local: &str) -> Option<String> {
        self.find(ns, local).map(Self::trimmed_text)
    }

    /// Replaces all children with one text node.
    pub fn set_text(&mut self, text: &str) {
        self.children = vec![Node::Text(text.to_owned())];
    }

    /// Error unless this element is `local` of namespace `ns`.
    ///
    /// # Errors
    /// [`XmlError::UnexpectedRoot`] naming what was found.
    pub fn expect(&self, ns: &str, local: &str) -> Result<(), XmlError> {
        if self.is(ns, local) {
            return Ok(());
        }
        Err(XmlError::UnexpectedRoot {
            expected_ns: ns.to_owned(),
            expected_local: local.to_owned(),
            found_ns: crate::error::shortened(&self.ns),
            found_local: crate::error::shortened(&self.local),
        })
    }

    /// The document as octets' text with an XML declaration.
    #[must_use]
    pub fn to_document(&self) -> String {
        crate::writer::document(self)
    }
}

/// Reads `xs:boolean`.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.trim_matches([' ', '\t', '\n', '\r']) {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
