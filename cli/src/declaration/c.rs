//! In C: structs, and the macro of `shmq_schema.h` that makes the same text of them.

use super::{Body, Declaration, Field, Item, Type, element, is_natural, names};

/// Fields that SHMQ_SCHEMA takes.
const MOST_FIELDS: usize = 48;

pub fn declare(it: &Declaration) -> String {
    let mut text =
        format!("/* The messages of {}: {} bytes each. Written by `shmq schema --c`. */\n", quoted(&it.segment), it.bytes);
    text += "#include <stdbool.h>\n#include <stdint.h>\n#include \"shmq_schema.h\"\n\n";
    text += &body(it, &Dialect { name: |item| names::joined(&item.path), is_cpp: false });
    text
}

/// What C and C++ write differently.
pub(super) struct Dialect {
    pub name: fn(&Item) -> String,
    pub is_cpp: bool,
}

/// A name for people, in a comment.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_debug()).replace("*/", "* /")
}

pub(super) fn body(it: &Declaration, dialect: &Dialect) -> String {
    let has_macro = can_have_macro(it);
    let mut text = String::new();
    for (number, item) in it.items.iter().enumerate() {
        let name = (dialect.name)(item);
        let is_message = it.message == Type::Item(number);
        match &item.body {
            Body::Struct(fields) => text += &structure(it, item, fields, is_message, dialect),
            Body::Enum { tag, variants } if !item.has_fields_in_variants() => {
                let values: Vec<String> = variants
                    .iter()
                    .map(|variant| format!("{name}_{} = {}", names::identifier(&variant.name), variant.value))
                    .collect();
                text += &match dialect.is_cpp {
                    true => {
                        let values: Vec<String> = variants
                            .iter()
                            .map(|variant| format!("{} = {}", names::identifier(&variant.name), variant.value))
                            .collect();
                        format!("enum class {name} : {} {{ {} }};\n", scalar(tag), values.join(", "))
                    }
                    false if values.is_empty() => format!("typedef {} {name};\n", scalar(tag)),
                    false => format!("typedef {} {name};\nenum {{ {} }};\n", scalar(tag), values.join(", ")),
                };
                if has_macro {
                    let listed: Vec<String> =
                        variants.iter().map(|variant| format!("{}={}", variant.name, variant.value)).collect();
                    text += &format!("SHMQ_SCHEMA_ENUM({name}, {tag}, \"{}\");\n", listed.join(", "));
                }
            }
            Body::Enum { tag, .. } => {
                text += "/* An enum whose variants have fields, which C has not: its number, and the bytes of the largest variant. */\n";
                let rest = item.bytes.saturating_sub(super::size_of_scalar(tag).unwrap_or(0));
                text += &format!("typedef struct {name} {{\n    {} tag;\n    uint8_t bytes[{rest}];\n}} {name};\n", scalar(tag));
            }
        }
        if has_macro {
            if let Body::Struct(fields) = &item.body {
                let listed: Vec<String> = fields.iter().map(|field| listed(it, field, dialect)).collect();
                text += &format!("SHMQ_SCHEMA({name}, {});\n", listed.join(", "));
            }
        }
        text.push('\n');
    }
    text + &conclusion(it, has_macro, dialect)
}

/// How the text is given to the library.
fn conclusion(it: &Declaration, has_macro: bool, dialect: &Dialect) -> String {
    let name = it.item(&it.message).map_or_else(|| it.name.clone(), dialect.name);
    let mut text = String::new();
    if it.item(&it.message).is_none() {
        text += &format!("typedef {};\n", declared(it, &it.message, &name, dialect));
    }
    if has_macro && it.item(&it.message).is_some() {
        if !dialect.is_cpp {
            text += &format!("/* options.message_size = sizeof({name}); options.structure = shmq_schema_{name}; */\n");
        }
    } else {
        text += &format!("#define {name}_STRUCTURE \"{}\"\n", it.structure);
        let check = if dialect.is_cpp { "static_assert" } else { "_Static_assert" };
        text += &format!("{check}(sizeof({name}) == {}, \"{name} has the bytes of the queue's messages\");\n", it.bytes);
        text += &format!(
            "/* options.message_size = {}; options.message_align = {}; options.structure = {name}_STRUCTURE; */\n",
            it.bytes, it.align
        );
        if dialect.is_cpp && it.item(&it.message).is_some() {
            text += &format!("template <> struct shmq::schema<{name}> {{\n");
            text += &format!("    static const char *text() {{ return {name}_STRUCTURE; }}\n}};\n");
        }
    }
    text
}

/// Can each struct be written so that SHMQ_SCHEMA makes the same text?
fn can_have_macro(it: &Declaration) -> bool {
    let field = |field: &Field| names::is_identifier(&field.name) && element(&field.ty).1.len() <= 2;
    let item = |item: &Item| match &item.body {
        Body::Struct(fields) => !fields.is_empty() && fields.len() <= MOST_FIELDS && fields.iter().all(field),
        Body::Enum { .. } => !item.has_fields_in_variants(),
    };
    it.items.iter().all(item)
}

fn structure(it: &Declaration, item: &Item, fields: &[Field], is_message: bool, dialect: &Dialect) -> String {
    let name = (dialect.name)(item);
    let lines: String = fields
        .iter()
        .map(|field| format!("    {};\n", declared(it, &field.ty, &names::identifier(&field.name), dialect)))
        .collect();
    let is_packed = !is_natural(item, &it.items);
    let align = if is_message { it.align } else { item.align };
    let attributes = match (is_packed, is_packed || align > item.align) {
        (true, _) => format!(" __attribute__((packed, aligned({})))", if is_message { it.align } else { 1 }),
        (false, true) => format!(" __attribute__((aligned({align})))"),
        (false, false) => String::new(),
    };
    if dialect.is_cpp {
        format!("struct{attributes} {name} {{\n{lines}}};\n")
    } else {
        format!("typedef struct{attributes} {name} {{\n{lines}}} {name};\n")
    }
}

/// `uint32_t sizes[2]`.
fn declared(it: &Declaration, ty: &Type, name: &str, dialect: &Dialect) -> String {
    let (inner, counts) = element(ty);
    let counts: String = counts.iter().map(|count| format!("[{count}]")).collect();
    let of = match inner {
        Type::Item(number) => it.items.get(*number).map_or_else(String::new, dialect.name),
        Type::Scalar(name) => scalar(name),
        Type::Array(..) => String::new(),
    };
    let comment = if let Type::Scalar(name) = inner { comment(name) } else { "" };
    format!("{of} {name}{counts}{comment}")
}

/// `(u32, sizes, 2)`.
fn listed(it: &Declaration, field: &Field, dialect: &Dialect) -> String {
    let (inner, counts) = element(&field.ty);
    let ty =
        it.item(inner).map_or_else(|| if let Type::Scalar(name) = inner { name.clone() } else { String::new() }, dialect.name);
    let counts: String = counts.iter().map(|count| format!(", {count}")).collect();
    format!("({ty}, {}{counts})", field.name)
}

fn comment(name: &str) -> &'static str {
    match name {
        "char" => " /* a Unicode scalar value */",
        name if name.ends_with("be") => " /* big-endian */",
        _ => "",
    }
}

fn scalar(name: &str) -> String {
    match name.strip_suffix("be").unwrap_or(name) {
        "bool" => "bool".to_owned(),
        "char" => "uint32_t".to_owned(),
        "f32" => "float".to_owned(),
        "f64" => "double".to_owned(),
        "u128" => "unsigned __int128".to_owned(),
        "i128" => "__int128".to_owned(),
        other => format!("{}int{}_t", if other.starts_with('u') { "u" } else { "" }, &other[1..]),
    }
}
