//! How many bytes a schema describes, and the fields of a struct, as its text has them.

use super::parse::{ParsedField, ParsedType, parsed};

/// One field of the struct that a schema describes.
#[derive(Debug, PartialEq)]
pub(crate) struct Outlined<'a> {
    pub name: &'a str,
    pub offset: usize,
    pub bytes: usize,
    /// Its schema.
    pub text: &'a str,
}

/// The bytes up to the end of the last part; `None` if it is not written as a schema, or describes
/// more than there can be.
pub(crate) fn bytes_described(text: &str) -> Option<usize> {
    bytes_of(&parsed(text)?)
}

/// The fields of a struct, in the order of the text. None of another type, and of text that is no
/// schema.
pub(crate) fn outline(text: &str) -> Vec<Outlined<'_>> {
    let Some(ParsedType::Struct(fields)) = parsed(text) else { return Vec::new() };
    fields
        .into_iter()
        .map_while(|field| {
            Some(Outlined { name: field.name, offset: field.offset.parse().ok()?, bytes: bytes_of(&field.ty)?, text: field.text })
        })
        .collect()
}

fn bytes_of(ty: &ParsedType<'_>) -> Option<usize> {
    match ty {
        ParsedType::Scalar(name) => bytes_of_scalar(name),
        ParsedType::Array(element, count) => bytes_of(element)?.checked_mul(count.parse().ok()?),
        ParsedType::Struct(fields) => end_of(fields, 0),
        ParsedType::Enum(tag, variants) => {
            variants.iter().try_fold(bytes_of_scalar(tag)?, |end, variant| end_of(&variant.fields, end))
        }
    }
}

/// The end of the last of some fields, which is `least` or more.
fn end_of(fields: &[ParsedField<'_>], least: usize) -> Option<usize> {
    fields
        .iter()
        .try_fold(least, |end, field| Some(end.max(field.offset.parse::<usize>().ok()?.checked_add(bytes_of(&field.ty)?)?)))
}

fn bytes_of_scalar(name: &str) -> Option<usize> {
    match name {
        "bool" => Some(1),
        "char" => Some(4),
        _ => Some(name.strip_suffix("be").unwrap_or(name).get(1..)?.parse::<usize>().ok()? / 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_schema_are_those_up_to_its_last_part() {
        for (text, bytes) in [
            ("u8", Some(1)),
            ("i128be", Some(16)),
            ("char", Some(4)),
            ("[f64; 3]", Some(24)),
            ("{}", Some(0)),
            ("{a@0: u64, b@8: {c@0: bool, d@1: u16be}}", Some(11)),
            ("{a@8: u8}", Some(9)),
            ("enum u16 {A=1, B=2 {x@2: [u8; 6]}}", Some(8)),
            ("[u64; 99999999999999999999]", None),
            ("[[u8; 9223372036854775807]; 9]", None),
            ("{a: u8}", None),
        ] {
            assert_eq!(bytes_described(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_struct_has_its_fields_in_order() {
        let fields = outline("{price@0: f64, side@8: enum u8 {Buy=1}, sizes@9: [u8; 3]}");
        let price = Outlined { name: "price", offset: 0, bytes: 8, text: "f64" };
        let side = Outlined { name: "side", offset: 8, bytes: 1, text: "enum u8 {Buy=1}" };
        let sizes = Outlined { name: "sizes", offset: 9, bytes: 3, text: "[u8; 3]" };
        assert_eq!(fields, [price, side, sizes]);
        assert_eq!(outline("u64"), []);
        assert_eq!(outline("{a: u8}"), []);
    }
}
