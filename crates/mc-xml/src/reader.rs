//! The one way octets of a peer become a tree: bounded, namespace aware, without DTDs or entities.

use std::borrow::Cow;

use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::XmlError;
use crate::dom::{Attribute, Element, Node, XML_NS};
use crate::error::shortened;
use crate::writer::Scope;

const XMLNS_NS: &str = "http://www.w3.org/2000/xmlns/";

/// Bounds of a document; one over is refused with [`XmlError::PeerTooLarge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the whole document.
    pub octets: usize,
    /// Nesting of elements, the document element counts 1.
    pub depth: usize,
    /// Elements, comments and instructions in the document.
    pub nodes: usize,
    /// Attributes and namespace declarations of one element.
    pub attributes: usize,
    /// Octets of one name.
    pub name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            octets: 256 * 1024,
            depth: 32,
            nodes: 20_000,
            attributes: 64,
            name: 256,
        }
    }
}

/// Reads a document under the default [`Limits`].
///
/// # Errors
/// Any [`XmlError`] of the reader.
pub fn parse(octets: &[u8]) -> Result<Element, XmlError> {
    parse_with(octets, &Limits::default())
}

/// Reads a document under `limits`.
///
/// # Errors
/// Any [`XmlError`] of the reader.
pub fn parse_with(octets: &[u8], limits: &Limits) -> Result<Element, XmlError> {
    bound("octets", octets.len(), limits.octets)?;
    let text = std::str::from_utf8(octets).map_err(|_| XmlError::PeerEncoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(bad) = text.chars().find(|c| !is_xml_char(*c)) {
        return Err(malformed(
            0,
            format!("character U+{:04X} is not XML", u32::from(bad)),
        ));
    }
    let text = normalise_line_ends(text);
    Builder::new(limits).run(&text)
}

fn bound(what: &'static str, value: usize, limit: usize) -> Result<(), XmlError> {
    if value > limit {
        Err(XmlError::PeerTooLarge { what, limit })
    } else {
        Ok(())
    }
}

fn malformed(offset: u64, reason: impl Into<String>) -> XmlError {
    XmlError::PeerNotWellFormed {
        offset,
        reason: reason.into(),
    }
}

/// XML 1.0 2.11: every line end reaches the application as one line feed.
fn normalise_line_ends(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (!c.is_ascii() && c.is_alphabetic())
}

fn is_nc_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start)
        && chars.all(|c| {
            is_name_start(c) || c.is_ascii_digit() || matches!(c, '-' | '.' | '\u{b7}') || {
                !c.is_ascii() && c.is_alphanumeric()
            }
        })
}

struct Builder<'l> {
    limits: &'l Limits,
    nodes: usize,
    scope: Scope,
    /// Open elements with the scope length to return to.
    open: Vec<(Element, usize)>,
    root: Option<Element>,
    offset: u64,
}

impl<'l> Builder<'l> {
    fn new(limits: &'l Limits) -> Self {
        Self {
            limits,
            nodes: 0,
            scope: Scope::default(),
            open: Vec::new(),
            root: None,
            offset: 0,
        }
    }

    fn run(mut self, text: &str) -> Result<Element, XmlError> {
        let mut reader = quick_xml::Reader::from_str(text);
        reader.config_mut().check_comments = true;
        reader.config_mut().check_end_names = true;
        let mut first = true;
        loop {
            self.offset = reader.buffer_position();
            let event = reader
                .read_event()
                .map_err(|e| malformed(reader.error_position(), shortened(&e.to_string())))?;
            if matches!(event, Event::Eof) {
                break;
            }
            self.event(event, first)?;
            first = false;
        }
        if !self.open.is_empty() {
            return Err(malformed(self.offset, "document ends inside an element"));
        }
        self.root
            .ok_or_else(|| malformed(self.offset, "no document element"))
    }

    fn event(&mut self, event: Event<'_>, first: bool) -> Result<(), XmlError> {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::Empty(tag) => {
                self.start(&tag)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(text) => {
                let text = text.into_inner();
                if text.contains("]]>") {
                    return Err(malformed(self.offset, "']]>' in character data"));
                }
                self.text(&text)
            }
            Event::CData(text) => {
                let inside = !self.open.is_empty();
                if !inside {
                    return Err(malformed(self.offset, "CDATA outside the document element"));
                }
                self.text(&text.into_inner())
            }
            Event::GeneralRef(reference) => {
                let c = self.reference(&reference)?;
                self.text(c.encode_utf8(&mut [0; 4]))
            }
            Event::Comment(comment) => self.comment(comment.into_inner().into_owned()),
            Event::PI(instruction) => self.instruction(instruction.target(), instruction.content()),
            Event::Decl(declaration) => self.declaration(&declaration, first),
            Event::DocType(_) => Err(XmlError::PeerDoctype),
            Event::Eof => Ok(()),
        }
    }

    fn declaration(
        &self,
        declaration: &quick_xml::events::BytesDecl<'_>,
        first: bool,
    ) -> Result<(), XmlError> {
        if !first {
            return Err(malformed(self.offset, "XML declaration not at the start"));
        }
        let version = declaration
            .version()
            .map_err(|_| malformed(self.offset, "XML declaration"))?;
        if version != "1.0" {
            return Err(malformed(self.offset, "only XML 1.0"));
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
            Some(_) => Err(XmlError::PeerEncoding),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), XmlError> {
        self.count_node()?;
        bound("levels of elements", self.open.len() + 1, self.limits.depth)?;
        if self.open.is_empty() && self.root.is_some() {
            return Err(malformed(self.offset, "second document element"));
        }
        let mark = self.scope.len();
        let mut declarations = Vec::new();
        let mut plain = Vec::new();
        for (count, attribute) in tag.attributes().enumerate() {
            bound("attributes", count + 1, self.limits.attributes)?;
            let attribute =
                attribute.map_err(|e| malformed(self.offset, shortened(&e.to_string())))?;
            let name = attribute.key.into_inner();
            let value = self.attribute_value(&attribute.value)?;
            if name == "xmlns" {
                self.declare("", value, &mut declarations)?;
            } else if let Some(prefix) = name.strip_prefix("xmlns:") {
                self.declare(prefix, value, &mut declarations)?;
            } else {
                plain.push((name.to_owned(), value));
            }
        }
        let mut attributes: Vec<Attribute> = Vec::with_capacity(plain.len());
        for (name, value) in plain {
            let (prefix, local) = self.split(&name)?;
            let ns = if prefix.is_empty() {
                String::new()
            } else {
                self.resolve(&prefix)?
            };
            if attributes.iter().any(|a| a.local == local && a.ns == ns) {
                let name = shortened(&name);
                return Err(XmlError::PeerNamespace(format!(
                    "attribute {name} is given twice"
                )));
            }
            attributes.push(Attribute {
                prefix,
                ns,
                local,
                value,
            });
        }
        let (prefix, local) = self.split(tag.name().into_inner())?;
        let ns = self.resolve(&prefix)?;
        let children = Vec::new();
        let element = Element {
            prefix,
            ns,
            local,
            declarations,
            attributes,
            children,
        };
        self.open.push((element, mark));
        Ok(())
    }

    fn declare(
        &mut self,
        prefix: &str,
        ns: String,
        declarations: &mut Vec<(String, String)>,
    ) -> Result<(), XmlError> {
        bound("octets in a name", prefix.len(), self.limits.name)?;
        bound("octets in a namespace name", ns.len(), self.limits.name)?;
        let reserved = prefix == "xmlns"
            || ns == XMLNS_NS
            || (prefix == "xml") != (ns == XML_NS)
            || (!prefix.is_empty() && (ns.is_empty() || !is_nc_name(prefix)))
            || declarations.iter().any(|(p, _)| p == prefix);
        if reserved {
            let prefix = shortened(prefix);
            return Err(XmlError::PeerNamespace(format!(
                "bad declaration of '{prefix}'"
            )));
        }
        self.scope.push(prefix, &ns);
        declarations.push((prefix.to_owned(), ns));
        Ok(())
    }

    fn split(&self, name: &str) -> Result<(String, String), XmlError> {
        bound("octets in a name", name.len(), self.limits.name)?;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !is_nc_name(local) || (name.contains(':') && !is_nc_name(prefix)) {
            return Err(malformed(
                self.offset,
                format!("bad name '{}'", shortened(name)),
            ));
        }
        Ok((prefix.to_owned(), local.to_owned()))
    }

    fn resolve(&self, prefix: &str) -> Result<String, XmlError> {
        self.scope.lookup(prefix).map(str::to_owned).ok_or_else(|| {
            XmlError::PeerNamespace(format!("prefix '{}' is not declared", shortened(prefix)))
        })
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let (element, mark) = self
            .open
            .pop()
            .ok_or_else(|| malformed(self.offset, "end tag without start tag"))?;
        self.scope.truncate(mark);
        match self.open.last_mut() {
            Some((parent, _)) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        let Some((parent, _)) = self.open.last_mut() else {
            if text.chars().all(|c| matches!(c, ' ' | '\t' | '\n')) {
                return Ok(());
            }
            return Err(malformed(self.offset, "text outside the document element"));
        };
        if let Some(Node::Text(last)) = parent.children.last_mut() {
            last.push_str(text);
        } else {
            parent.children.push(Node::Text(text.to_owned()));
        }
        Ok(())
    }

    fn comment(&mut self, comment: String) -> Result<(), XmlError> {
        self.count_node()?;
        if let Some((parent, _)) = self.open.last_mut() {
            parent.children.push(Node::Comment(comment));
        }
        Ok(())
    }

    fn instruction(&mut self, target: &str, data: &str) -> Result<(), XmlError> {
        self.count_node()?;
        if !is_nc_name(target) || target.eq_ignore_ascii_case("xml") {
            return Err(malformed(self.offset, "bad processing instruction"));
        }
        if let Some((parent, _)) = self.open.last_mut() {
            let data = data.trim_start_matches([' ', '\t', '\n']).to_owned();
            parent
                .children
                .push(Node::Instruction(target.to_owned(), data));
        }
        Ok(())
    }

    fn count_node(&mut self) -> Result<(), XmlError> {
        self.nodes += 1;
        bound("nodes", self.nodes, self.limits.nodes)
    }

    fn reference(&self, reference: &BytesRef<'_>) -> Result<char, XmlError> {
        resolve_reference(reference.borrow().into_inner().as_ref())
    }

    /// XML 1.0 3.3.3: white space becomes a space, references are expanded after that.
    fn attribute_value(&self, raw: &str) -> Result<String, XmlError> {
        if raw.contains('<') {
            return Err(malformed(self.offset, "'<' in an attribute value"));
        }
        let mut value = String::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(at) = rest.find('&') {
            let (before, after) = rest.split_at(at);
            value.extend(before.chars().map(blank));
            let (name, tail) = after
                .get(1..)
                .and_then(|a| a.split_once(';'))
                .ok_or_else(|| malformed(self.offset, "'&' without a reference"))?;
            value.push(resolve_reference(name)?);
            rest = tail;
        }
        value.extend(rest.chars().map(blank));
        Ok(value)
    }
}

fn blank(c: char) -> char {
    if matches!(c, '\t' | '\n') { ' ' } else { c }
}

fn resolve_reference(name: &str) -> Result<char, XmlError> {
    let unknown = || XmlError::PeerEntity(shortened(name));
    let number = |digits: &str, radix| {
        let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        all.then(|| {
            u32::from_str_radix(digits, radix)
                .ok()
                .and_then(char::from_u32)
        })
        .flatten()
        .filter(|c| is_xml_char(*c))
        .ok_or_else(unknown)
    };
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => match name.strip_prefix('#') {
            Some(digits) => match digits.strip_prefix('x') {
                Some(hex) => number(hex, 16),
                None => number(digits, 10),
            },
            None => Err(unknown()),
        },
    }
}
