//! In Rust: structs and enums with `#[shmq::message]`.

use super::c::quoted;
use super::{Body, Declaration, Field, Item, Type, is_natural, names};

pub fn declare(it: &Declaration) -> String {
    let mut text =
        format!("// The messages of {}: {} bytes each. Written by `shmq schema --rust`.\n\n", quoted(&it.segment), it.bytes);
    for (number, item) in it.items.iter().enumerate() {
        let name = names::in_camel_case(&item.path);
        let align = if it.message == Type::Item(number) { it.align } else { item.align };
        text += "#[shmq::message]\n#[derive(Clone, Copy, Debug)]\n";
        match &item.body {
            Body::Struct(fields) => {
                if !is_natural(item, &it.items) {
                    text += "#[repr(C, packed)]\n";
                } else if align > item.align {
                    text += &format!("#[repr(C, align({align}))]\n");
                }
                text += &match is_tuple(fields) {
                    true => format!("struct {name}({});\n", types(it, fields).join(", ")),
                    false => format!("struct {name} {{\n{}}}\n", named(it, fields, "    ")),
                };
            }
            Body::Enum { tag, variants } => {
                text += &format!("#[repr({})]\nenum {name} {{\n", tag.strip_suffix("be").unwrap_or(tag));
                for variant in variants {
                    let fields = match variant.fields.as_slice() {
                        [] => String::new(),
                        fields if is_tuple(fields) => format!("({})", types(it, fields).join(", ")),
                        fields => format!(" {{\n{}    }}", named(it, fields, "        ")),
                    };
                    text += &format!("    {}{fields} = {},\n", raw(&variant.name), variant.value);
                }
                text += "}\n";
            }
        }
        text.push('\n');
    }
    if it.item(&it.message).is_none() {
        text += &format!("type {} = {};\n", it.name, type_of(it, &it.message));
    }
    text
}

/// Are the fields called 0, 1, 2 ...?
fn is_tuple(fields: &[Field]) -> bool {
    !fields.is_empty() && fields.iter().enumerate().all(|(number, field)| field.name == number.to_string())
}

fn types(it: &Declaration, fields: &[Field]) -> Vec<String> {
    fields.iter().map(|field| type_of(it, &field.ty)).collect()
}

fn named(it: &Declaration, fields: &[Field], indent: &str) -> String {
    fields.iter().map(|field| format!("{indent}{}: {},\n", raw(&field.name), type_of(it, &field.ty))).collect()
}

/// Rust's own keywords can be names.
fn raw(name: &str) -> String {
    match name {
        name if names::is_identifier(name) => name.to_owned(),
        "self" | "Self" | "super" | "crate" | "_" => names::identifier(name),
        name if names::is_identifier(&format!("{name}_")) => format!("r#{name}"),
        name => names::identifier(name),
    }
}

fn type_of(it: &Declaration, ty: &Type) -> String {
    match ty {
        Type::Scalar(name) => match name.strip_suffix("be") {
            Some(little) => format!("{little} /* big-endian: not a type of Rust */"),
            None => name.clone(),
        },
        Type::Array(element, count) => format!("[{}; {count}]", type_of(it, element)),
        Type::Item(number) => it.items.get(*number).map_or_else(String::new, |item: &Item| names::in_camel_case(&item.path)),
    }
}
