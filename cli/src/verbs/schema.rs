//! `shmq schema`: what the messages of a queue are.

use crate::arguments::Schema;
use crate::declaration::{Declaration, is_asked};
use crate::failure::{Failure, OTHER};
use crate::json;
use crate::stdio;
use crate::text;
use serde_json::json;
use shmq::inspect::{About, Inspector, Kind};

pub fn run(arguments: &Schema) -> Result<u8, Failure> {
    let name = &arguments.name;
    let about = Inspector::open(name).map_err(|error| Failure::open(name, &error))?.about();
    let source = if is_asked(&arguments.language) { source(arguments, &about)? } else { None };
    if arguments.json {
        stdio::print(&json::text(&json!({
            "name": name,
            "kind": about.kind.in_words(),
            "type": about.type_name,
            "schema": about.schema,
            "structure": about.structure,
            "unit_bytes": about.unit_bytes,
            "unit_align": about.unit_align,
            "source": source.map(|(language, text)| json!({ "language": language, "text": text })),
        })))?;
    } else if let Some((_, text)) = source {
        stdio::print(&text)?;
    } else {
        stdio::print(&report(&about))?;
    }
    Ok(0)
}

/// The struct in the language that was asked for.
fn source(arguments: &Schema, about: &About) -> Result<Option<(&'static str, String)>, Failure> {
    let cannot =
        |why: String| Failure::new(OTHER, format!("the messages of {} cannot be declared: {why}", text::quoted(&arguments.name)));
    let declaration = Declaration::of(&arguments.name, about).map_err(cannot)?;
    Ok(declaration.in_language(&arguments.language))
}

fn report(about: &About) -> String {
    let line = |what: &str, value: String| format!("{what:<11}{value}\n");
    let unit = if about.unit_bytes == 1 { "byte" } else { "bytes" };
    let of_what = if matches!(about.kind, Kind::Slice | Kind::TopicSlice) { " an element" } else { "" };
    let absent = || "-".to_owned();
    let structure = about.structure.as_deref().map_or_else(absent, |text| {
        // Line ends are kept, other control characters are escaped.
        let lines: Vec<String> = text.lines().map(text::escaped).collect();
        lines.join(&format!("\n{:<11}", ""))
    });
    line("type", about.type_in_words())
        + &line("size", format!("{} {unit}{of_what}", about.unit_bytes))
        + &line("schema", about.schema.as_deref().map_or_else(absent, text::escaped))
        + &line("structure", structure)
}
