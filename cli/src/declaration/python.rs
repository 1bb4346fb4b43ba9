//! In Python: a dtype of numpy, for a StructQueue.

use super::c::quoted;
use super::{Body, Declaration, Type, element};

pub fn declare(it: &Declaration) -> String {
    let mut text =
        format!("# The messages of {}: {} bytes each. Written by `shmq schema --python`.\n", quoted(&it.segment), it.bytes);
    text += "import numpy\n\n";
    if it.has_fields_in_variants() {
        text += "# An enum has variants with fields, which numpy has not: V is its bytes.\n";
    }
    text += &format!("{} = numpy.dtype({})\n", it.name, dtype(it, &it.message, 0));
    text += &format!("# shmq.StructQueue({}, dtype={})", literal(&it.segment), it.name);
    let has_enum = it.items.iter().any(|item| matches!(item.body, Body::Enum { .. }));
    text += match has_enum {
        true => "; enums are numbers here, so open it by StructQueue.open(name), which takes the dtype of the queue\n",
        false => "\n",
    };
    text
}

fn literal(text: &str) -> String {
    format!("\"{}\"", text.escape_default())
}

fn dtype(it: &Declaration, ty: &Type, depth: usize) -> String {
    match ty {
        Type::Scalar(name) => format!("\"{}\"", code(name)),
        Type::Array(..) => {
            let (inner, counts) = element(ty);
            format!("({}, {})", dtype(it, inner, depth), shape(&counts))
        }
        Type::Item(number) => match it.items.get(*number) {
            None => String::new(),
            Some(item) if item.has_fields_in_variants() => format!("\"V{}\"", item.bytes),
            Some(item) => match &item.body {
                Body::Enum { tag, .. } => format!("\"{}\"", code(tag)),
                Body::Struct(fields) => {
                    let indent = "    ".repeat(depth + 1);
                    let line = |field: &super::Field| {
                        let (inner, counts) = element(&field.ty);
                        let shape = if counts.is_empty() { String::new() } else { format!(", {}", shape(&counts)) };
                        format!("{indent}({}, {}{shape}),\n", literal(&field.name), dtype(it, inner, depth + 1))
                    };
                    format!("[\n{}{}]", fields.iter().map(line).collect::<String>(), "    ".repeat(depth))
                }
            },
        },
    }
}

fn shape(counts: &[usize]) -> String {
    format!("({},)", counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", "))
}

fn code(name: &str) -> String {
    let (little, order) = name.strip_suffix("be").map_or((name, '<'), |little| (little, '>'));
    match little {
        "bool" => "?".to_owned(),
        "char" => format!("{order}u4"),
        "u128" | "i128" => "V16".to_owned(),
        other => format!("{order}{}{}", &other[..1], other[1..].parse::<usize>().unwrap_or(8) / 8),
    }
}
