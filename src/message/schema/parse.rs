//! Reads schemas back from their text, which may come from a segment and hold anything.

/// Deeper schemas are not read: text from a segment may hold anything.
const MAX_DEPTH: usize = 64;

/// A type, read from its schema.
#[derive(Debug, PartialEq)]
pub enum ParsedType<'a> {
    Scalar(&'a str),
    Array(Box<ParsedType<'a>>, &'a str),
    Struct(Vec<ParsedField<'a>>),
    Enum(&'a str, Vec<ParsedVariant<'a>>),
}

#[derive(Debug, PartialEq)]
pub struct ParsedField<'a> {
    pub name: &'a str,
    pub offset: &'a str,
    pub ty: ParsedType<'a>,
    /// The type as it is written.
    pub text: &'a str,
}

#[derive(Debug, PartialEq)]
pub struct ParsedVariant<'a> {
    pub name: &'a str,
    pub value: &'a str,
    pub fields: Vec<ParsedField<'a>>,
}

/// The type that a text describes; `None` if it is not written as a schema.
pub fn parsed(text: &str) -> Option<ParsedType<'_>> {
    let mut reader = SchemaReader { rest: text, depth: 0 };
    reader.read_type().filter(|_| reader.rest.is_empty())
}

/// Is the text written as a schema? If it `is_cut`, only its beginning is given.
pub(crate) fn is_schema(text: &str, is_cut: bool) -> bool {
    let mut reader = SchemaReader { rest: text, depth: 0 };
    match reader.read_type() {
        Some(_) => reader.rest.is_empty(),
        // It was a schema up to the end.
        None => is_cut && reader.rest.is_empty(),
    }
}

struct SchemaReader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> SchemaReader<'a> {
    fn read_type(&mut self) -> Option<ParsedType<'a>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let ty = if self.skip("[") {
            let element = Box::new(self.read_type()?);
            self.expect("; ")?;
            let count = self.digits()?;
            self.expect("]")?;
            ParsedType::Array(element, count)
        } else if self.rest.starts_with('{') {
            ParsedType::Struct(self.fields()?)
        } else if self.skip("enum ") {
            let tag = self.scalar()?;
            self.expect(" {")?;
            let mut variants = Vec::new();
            while !self.skip("}") {
                if !variants.is_empty() {
                    self.expect(", ")?;
                }
                variants.push(self.variant()?);
            }
            ParsedType::Enum(tag, variants)
        } else {
            ParsedType::Scalar(self.scalar()?)
        };
        self.depth -= 1;
        Some(ty)
    }

    fn fields(&mut self) -> Option<Vec<ParsedField<'a>>> {
        self.expect("{")?;
        let mut fields = Vec::new();
        while !self.skip("}") {
            if !fields.is_empty() {
                self.expect(", ")?;
            }
            let name = self.up_to(|c| !is_of_name(c))?;
            self.expect("@")?;
            let offset = self.digits()?;
            self.expect(": ")?;
            let before = self.rest;
            let ty = self.read_type()?;
            fields.push(ParsedField { name, offset, ty, text: &before[..before.len() - self.rest.len()] });
        }
        Some(fields)
    }

    fn variant(&mut self) -> Option<ParsedVariant<'a>> {
        let name = self.up_to(|c| !is_of_name(c))?;
        self.expect("=")?;
        let value = self.up_to(|c| !c.is_ascii_digit() && c != '-')?;
        let fields = if self.skip(" ") { self.fields()? } else { Vec::new() };
        Some(ParsedVariant { name, value, fields })
    }

    fn scalar(&mut self) -> Option<&'a str> {
        let before = self.rest;
        let name = self.up_to(|c| !c.is_ascii_alphanumeric())?;
        let little = name.strip_suffix("be").unwrap_or(name);
        let is_number = little.strip_prefix(['u', 'i']).is_some_and(|bits| matches!(bits, "8" | "16" | "32" | "64" | "128"));
        let is_scalar = is_number || matches!(little, "f32" | "f64" | "bool" | "char");
        // A text that was cut may end with the beginning of a scalar.
        if !is_scalar && !self.rest.is_empty() {
            self.rest = before;
        }
        is_scalar.then_some(name)
    }

    fn digits(&mut self) -> Option<&'a str> {
        self.up_to(|c| !c.is_ascii_digit())
    }

    /// At least one character.
    fn up_to(&mut self, end: impl Fn(char) -> bool) -> Option<&'a str> {
        let (found, rest) = self.rest.split_at(self.rest.find(end).unwrap_or(self.rest.len()));
        self.rest = rest;
        (!found.is_empty()).then_some(found)
    }

    fn skip(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        // A text that was cut may end with the beginning of the token.
        if !self.rest.is_empty() && token.starts_with(self.rest) && token != self.rest {
            self.rest = "";
            return None;
        }
        self.skip(token).then_some(())
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
