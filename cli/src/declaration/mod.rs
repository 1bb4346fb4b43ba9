//! The struct of a segment's messages, declared in some language.
//!
//! A structure's text has no names of nested types. Each is called by the path that leads to it;
//! equal ones are declared once.

mod c;
mod cpp;
mod names;
mod python;
mod rust;

use crate::arguments::Language;
use shmq::inspect::{About, ParsedField, ParsedType, ParsedVariant, parsed};

/// A scalar, or what [`Declaration::items`] has.
#[derive(Clone, Debug, PartialEq)]
enum Type {
    /// By its name in the structure: `u16`, `f64be`.
    Scalar(String),
    Array(Box<Type>, usize),
    Item(usize),
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    offset: usize,
    ty: Type,
}

#[derive(Clone, Debug)]
struct Variant {
    name: String,
    value: String,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
enum Body {
    Struct(Vec<Field>),
    Enum { tag: String, variants: Vec<Variant> },
}

/// A struct or an enum.
#[derive(Clone, Debug)]
struct Item {
    /// The name of the message type, and the fields that lead to it.
    path: Vec<String>,
    body: Body,
    bytes: usize,
    align: usize,
}

/// Everything that has to be declared: each item after those that it has as fields.
#[derive(Debug)]
pub struct Declaration {
    /// Of the message type, as its creator called it, if that is an identifier.
    name: String,
    structure: String,
    items: Vec<Item>,
    /// What a message is, or an element of a slice.
    message: Type,
    bytes: usize,
    align: usize,
    segment: String,
}

impl Declaration {
    /// The error says why nothing can be declared.
    pub fn of(segment: &str, about: &About) -> Result<Declaration, String> {
        let structure =
            about.structure.clone().ok_or("its creator gave no structure: nothing says which fields its messages have")?;
        let Some(ty) = parsed(&structure) else {
            return Err(format!("its structure is no schema of fields: {}", structure.escape_debug()));
        };
        let name = if names::is_identifier(&about.type_name) { about.type_name.clone() } else { "Message".to_owned() };
        let mut items = Vec::new();
        let message = collect(&ty, std::slice::from_ref(&name), &mut items)
            .ok_or("its structure describes more bytes than there can be")?;
        let bytes = usize::try_from(about.unit_bytes).map_err(|_| "its messages are too large")?;
        if size_of(&message, &items).map(|(described, _)| described) != Some(bytes) {
            return Err(format!("its structure does not describe all of its {bytes} bytes: {structure}"));
        }
        let align = usize::try_from(about.unit_align).unwrap_or(1).max(1);
        Ok(Declaration { name, structure, items, message, bytes, align, segment: segment.to_owned() })
    }

    /// The source, if a language was asked for: its name and the text.
    pub fn in_language(&self, language: &Language) -> Option<(&'static str, String)> {
        match language {
            Language { c: true, .. } => Some(("c", c::declare(self))),
            Language { cpp: true, .. } => Some(("cpp", cpp::declare(self))),
            Language { rust: true, .. } => Some(("rust", rust::declare(self))),
            Language { python: true, .. } => Some(("python", python::declare(self))),
            _ => None,
        }
    }

    fn item(&self, ty: &Type) -> Option<&Item> {
        if let Type::Item(number) = ty { self.items.get(*number) } else { None }
    }

    /// Has an enum whose variants have fields: only Rust has such.
    fn has_fields_in_variants(&self) -> bool {
        self.items.iter().any(Item::has_fields_in_variants)
    }
}

impl Item {
    fn has_fields_in_variants(&self) -> bool {
        matches!(&self.body, Body::Enum { variants, .. } if variants.iter().any(|variant| !variant.fields.is_empty()))
    }
}

/// Does a language ask for a source?
pub fn is_asked(language: &Language) -> bool {
    language.c || language.cpp || language.rust || language.python
}

fn collect(ty: &ParsedType<'_>, path: &[String], items: &mut Vec<Item>) -> Option<Type> {
    let body = match ty {
        ParsedType::Scalar(name) => return Some(Type::Scalar((*name).to_owned())),
        ParsedType::Array(element, count) => {
            return Some(Type::Array(Box::new(collect(element, path, items)?), count.parse().ok()?));
        }
        ParsedType::Struct(fields) => Body::Struct(collect_fields(fields, path, items)?),
        ParsedType::Enum(tag, variants) => {
            let variant = |variant: &ParsedVariant<'_>| {
                let path = [path, &[variant.name.to_owned()]].concat();
                let fields = collect_fields(&variant.fields, &path, items)?;
                Some(Variant { name: variant.name.to_owned(), value: variant.value.to_owned(), fields })
            };
            Body::Enum { tag: (*tag).to_owned(), variants: variants.iter().map(variant).collect::<Option<_>>()? }
        }
    };
    let (bytes, align) = match &body {
        Body::Struct(fields) => extent(fields, (0, 1), items)?,
        Body::Enum { tag, variants } => {
            let tag = size_of_scalar(tag)?;
            variants.iter().try_fold((tag, tag), |found, variant| extent(&variant.fields, found, items))?
        }
    };
    let item = Item { path: path.to_vec(), body, bytes, align };
    let is_same = |other: &Item| format!("{:?}", other.body) == format!("{:?}", item.body);
    // The message type itself is never another's.
    let known = items.iter().position(is_same).filter(|_| path.len() > 1);
    Some(Type::Item(known.unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })))
}

fn collect_fields(fields: &[ParsedField<'_>], path: &[String], items: &mut Vec<Item>) -> Option<Vec<Field>> {
    let field = |field: &ParsedField<'_>| {
        let path = [path, &[field.name.to_owned()]].concat();
        Some(Field { name: field.name.to_owned(), offset: field.offset.parse().ok()?, ty: collect(&field.ty, &path, items)? })
    };
    fields.iter().map(field).collect()
}

/// Bytes up to the end of the last of some fields, and the largest alignment.
fn extent(fields: &[Field], least: (usize, usize), items: &[Item]) -> Option<(usize, usize)> {
    fields.iter().try_fold(least, |(end, align), field| {
        let (bytes, its_align) = size_of(&field.ty, items)?;
        Some((end.max(field.offset.checked_add(bytes)?), align.max(its_align)))
    })
}

fn size_of(ty: &Type, items: &[Item]) -> Option<(usize, usize)> {
    match ty {
        Type::Scalar(name) => size_of_scalar(name).map(|bytes| (bytes, bytes)),
        Type::Array(element, count) => {
            let (bytes, align) = size_of(element, items)?;
            Some((bytes.checked_mul(*count)?, align))
        }
        Type::Item(number) => items.get(*number).map(|item| (item.bytes, item.align)),
    }
}

fn size_of_scalar(name: &str) -> Option<usize> {
    let little = name.strip_suffix("be").unwrap_or(name);
    match little {
        "bool" => Some(1),
        "char" => Some(4),
        _ => little[1..].parse::<usize>().ok().map(|bits| bits / 8),
    }
}

/// An array's element, and its counts from the outermost on.
fn element(ty: &Type) -> (&Type, Vec<usize>) {
    let (mut ty, mut counts) = (ty, Vec::new());
    while let Type::Array(element, count) = ty {
        counts.push(*count);
        ty = element;
    }
    (ty, counts)
}

/// Do fields stand where a compiler puts them that aligns each by its type? Otherwise the struct is
/// packed.
fn is_natural(item: &Item, items: &[Item]) -> bool {
    let Body::Struct(fields) = &item.body else { return true };
    let is_aligned = |field: &Field| size_of(&field.ty, items).is_some_and(|(_, align)| field.offset % align == 0);
    fields.iter().all(is_aligned) && item.bytes % item.align == 0
}
