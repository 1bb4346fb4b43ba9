//! Says in words where two schemas differ.

use super::parse::{ParsedField, ParsedType, ParsedVariant, parsed};

/// The first difference between two schemas in words, seen from our side. `None` if they are the
/// same, or one is not written as a schema.
pub(crate) fn first_difference(ours: &str, theirs: &str) -> Option<String> {
    of_types(&parsed(ours)?, &parsed(theirs)?, "")
}

fn of_types(ours: &ParsedType<'_>, theirs: &ParsedType<'_>, path: &str) -> Option<String> {
    match (ours, theirs) {
        (ParsedType::Struct(ours), ParsedType::Struct(theirs)) => of_fields(ours, theirs, path),
        (ParsedType::Array(ours, our_count), ParsedType::Array(theirs, their_count)) if our_count == their_count => {
            of_types(ours, theirs, &format!("{path}[]"))
        }
        (ParsedType::Enum(our_tag, ours), ParsedType::Enum(their_tag, theirs)) if our_tag == their_tag => {
            of_variants(ours, theirs, path)
        }
        _ => None,
    }
}

fn of_fields(ours: &[ParsedField<'_>], theirs: &[ParsedField<'_>], path: &str) -> Option<String> {
    let place = |name: &str| if path.is_empty() { format!("`{name}`") } else { format!("`{path}.{name}`") };
    for (ours, theirs) in ours.iter().zip(theirs) {
        if ours.name != theirs.name {
            return Some(format!(
                "they differ first at byte {}: the field {} there, {} here",
                ours.offset,
                place(theirs.name),
                place(ours.name)
            ));
        }
        if ours.offset != theirs.offset {
            return Some(format!(
                "they differ first in the field {}: at byte {} there, at byte {} here",
                place(ours.name),
                theirs.offset,
                ours.offset
            ));
        }
        if ours.ty != theirs.ty {
            let inner = if path.is_empty() { ours.name.to_owned() } else { format!("{path}.{}", ours.name) };
            return of_types(&ours.ty, &theirs.ty, &inner).or_else(|| {
                Some(format!("they differ first in the field {}: {} there, {} here", place(ours.name), theirs.text, ours.text))
            });
        }
    }
    let (more, side) = if ours.len() > theirs.len() { (&ours[theirs.len()..], "here") } else { (&theirs[ours.len()..], "there") };
    let field = more.first()?;
    Some(format!("they differ first in the field {}, which is only {side}", place(field.name)))
}

fn of_variants(ours: &[ParsedVariant<'_>], theirs: &[ParsedVariant<'_>], path: &str) -> Option<String> {
    let place = if path.is_empty() { String::new() } else { format!(" of `{path}`") };
    for (ours, theirs) in ours.iter().zip(theirs) {
        if (ours.name, ours.value) != (theirs.name, theirs.value) {
            return Some(format!(
                "they differ first in a variant{place}: {}={} there, {}={} here",
                theirs.name, theirs.value, ours.name, ours.value
            ));
        }
        if ours.fields != theirs.fields {
            let inner = if path.is_empty() { ours.name.to_owned() } else { format!("{path}.{}", ours.name) };
            return of_fields(&ours.fields, &theirs.fields, &inner);
        }
    }
    let (more, side) = if ours.len() > theirs.len() { (&ours[theirs.len()..], "here") } else { (&theirs[ours.len()..], "there") };
    Some(format!("they differ first in the variant {}{place}, which is only {side}", more.first()?.name))
}

#[cfg(test)]
mod tests {
    use super::first_difference;
    use crate::message::schema::is_schema;

    const ORDER: &str =
        "{id@0: u64, legs@8: [{price@0: f64, side@8: enum u64be {Buy=-1, Sell=2 {x@8: [u8; 3]}}}; 2], ok@40: bool}";

    #[test]
    fn what_is_written_as_a_schema_is_distinguished_from_other_words() {
        for schema in [ORDER, "u8", "[u64; 2]", "{}", "[[char; 1]; 22]", "enum i8 {A=0}", "{0@0: f32be, gr\u{f6}\u{df}e@4: u32}"]
        {
            assert!(is_schema(schema, false), "{schema}");
            // Wherever it is cut, it may be the beginning of one.
            for (end, _) in schema.char_indices().skip(1) {
                assert!(is_schema(&schema[..end], true), "{}", &schema[..end]);
            }
        }
        for other in
            ["", "u9", "[a, b, c, d]", "{price: f64, volume: u64}", "{volume@0:u64}", "u8 ", "[u8]", "tick/2", "{a@0: Tick}"]
        {
            assert!(!is_schema(other, false), "{other}");
        }
        assert!(!is_schema("{price: f64, volume: u64, and so on", true));
        assert!(!is_schema(&"[".repeat(100_000), true));
    }

    #[test]
    fn the_first_difference_is_named() {
        let tick = "{price@0: f64, volume@8: u64}";
        for (ours, theirs, expected) in [
            (tick, "{volume@0: u64, price@8: f64}", "at byte 0: the field `volume` there, `price` here"),
            (tick, "{price@0: f64, amount@8: u64}", "at byte 8: the field `amount` there, `volume` here"),
            (tick, "{price@0: f64, volume@8: u64, venue@16: u8}", "in the field `venue`, which is only there"),
            (tick, "{price@0: f64}", "in the field `volume`, which is only here"),
            (tick, "{price@0: f64, volume@8: i64}", "in the field `volume`: i64 there, u64 here"),
            (tick, "{price@0: f64, volume@16: u64}", "in the field `volume`: at byte 16 there, at byte 8 here"),
            ("{a@0: [{x@0: u8}; 2]}", "{a@0: [{x@0: i8}; 2]}", "in the field `a[].x`: i8 there, u8 here"),
            ("{a@0: [u8; 2]}", "{a@0: [u8; 3]}", "in the field `a`: [u8; 3] there, [u8; 2] here"),
            ("{a@0: {b@0: u8}}", "{a@0: {c@0: u8}}", "at byte 0: the field `a.c` there, `a.b` here"),
            ("{s@0: enum u8 {A=0, B=1}}", "{s@0: enum u8 {A=1, B=0}}", "in a variant of `s`: A=1 there, A=0 here"),
            ("enum u8 {A=0, B=1}", "enum u8 {A=0, B=1, C=2}", "in the variant C, which is only there"),
            ("enum u8 {A=0 {x@1: u8}}", "enum u8 {A=0 {x@1: i8}}", "in the field `A.x`: i8 there, u8 here"),
        ] {
            assert_eq!(first_difference(ours, theirs), Some(format!("they differ first {expected}")), "{ours} {theirs}");
        }
        assert_eq!(first_difference(ORDER, ORDER), None);
        assert_eq!(first_difference(tick, "{price: f64, volume: u64}"), None);
        assert_eq!(first_difference("u8", "i8"), None);
    }
}
