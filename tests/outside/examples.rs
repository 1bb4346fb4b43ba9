//! Code blocks of documentation, found and made into modules by the rules of rustdoc.

use std::fs;
use std::path::{Path, PathBuf};

/// A block of Rust code in some documentation.
pub struct Example {
    /// File and line, from the root of the repository.
    pub place: String,
    /// The tags after the fence: `no_run`, `compile_fail` ...
    tags: Vec<String>,
    /// As a person would write it: hidden lines without their mark.
    code: String,
    /// Are there hidden lines? Only rustdoc hides them.
    hides_lines: bool,
}

/// The examples of the README, the guides, and the documentation of every public item.
pub fn all(root: &Path) -> Vec<Example> {
    let mut found = Vec::new();
    for path in crate::links::documents(root).into_iter().map(|page| root.join(page)) {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line));
        read_blocks(&place(root, &path), lines, &mut found);
    }
    for path in files(&root.join("src"), "rs") {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().enumerate().filter_map(|(number, line)| Some((number + 1, comment(line)?)));
        read_blocks(&place(root, &path), lines, &mut found);
    }
    found
}

fn place(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().display().to_string()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(files(&entry, extension));
        } else if entry.extension().is_some_and(|found| found == extension) {
            found.push(entry);
        }
    }
    found.sort();
    found
}

/// Stands for a line that a macro makes.
const MADE: &str = "// made by a macro";

/// The documentation text of a source line. Fences may lie in attributes, where a feature decides
/// on them.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let attribute = line.strip_prefix("#[").or_else(|| line.strip_prefix("#!["));
    if let Some(conditional) = attribute.and_then(|attribute| attribute.strip_prefix("cfg_attr(feature = ")) {
        return conditional.split_once("doc = \"")?.1.strip_suffix("\")]").filter(|text| text.starts_with("```"));
    }
    if line.starts_with("#[doc = concat!(") || line.starts_with("#[doc = $") {
        return Some(MADE);
    }
    let text = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
    Some(text.strip_prefix(' ').unwrap_or(text))
}

fn read_blocks<'a>(place: &str, lines: impl Iterator<Item = (usize, &'a str)>, found: &mut Vec<Example>) {
    let mut open: Option<Example> = None;
    for (number, line) in lines {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(tags), open @ None) => {
                let tags = tags.split([',', ' ']).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
                *open = Some(Example { place: format!("{place}:{number}"), tags, code: String::new(), hides_lines: false });
            }
            (None, Some(example)) => {
                let shown = line.trim_start();
                let hidden = if shown == "#" { Some("") } else { shown.strip_prefix("# ") };
                example.hides_lines |= hidden.is_some();
                example.code += hidden.unwrap_or(line);
                example.code.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{place}: a code block has no end");
}

impl Example {
    fn is_rust(&self) -> bool {
        self.tags.iter().any(|tag| tag == "rust")
    }

    /// Is it Rust, and meant to compile?
    pub fn is_checked(&self) -> bool {
        self.tags.iter().all(|tag| ["rust", "no_run", "should_panic", "edition2024"].contains(&&**tag))
            && !self.code.contains(MADE)
    }

    /// Does a copy from the page differ from what is compiled?
    pub fn shows_marks(&self) -> bool {
        self.hides_lines && self.is_rust() && !self.place.starts_with("src/")
    }

    pub fn names_no(&self, crates: &[&str]) -> bool {
        !crates.iter().any(|name| {
            let path = format!("{name}::");
            self.code.match_indices(&path).any(|(at, _)| {
                // `shmq::serde::` would be a different crate.
                !self.code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
            })
        })
    }

    /// The example as a module: code without a main function gets a function around it, as in
    /// rustdoc.
    pub fn module(&self) -> String {
        if self.code.contains("fn main(") {
            return self.code.clone();
        }
        let last = self.code.trim_end().lines().last().unwrap_or("");
        if last.starts_with("Ok::<") {
            format!("fn main() -> Result<(), impl std::fmt::Debug> {{\n{}}}\n", self.code)
        } else {
            format!("fn main() {{\n{}}}\n", self.code)
        }
    }
}
