//! A package outside of this one, made and checked by cargo without a network.

use crate::examples::Example;
use crate::failures::Failure;
use crate::root;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Crates that examples may need next to `shmq`, as in this package's own `Cargo.toml`.
pub const CRATES: [&str; 6] = ["serde", "serde_json", "tokio", "libc", "futures", "ctrlc"];

pub struct Package {
    name: &'static str,
    folder: PathBuf,
}

/// An error of the compiler.
pub struct Diagnostic {
    /// The text as a terminal shows it.
    pub text: String,
    /// Lines that it points at in the package's own file, the main one first.
    pub lines: Vec<usize>,
}

impl Package {
    pub fn new(name: &'static str, with_others: bool) -> Package {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside").join(name);
        let mut manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\nshmq = {{ path = {:?}, features = [\"async\", \"sink\"] }}\n",
            root().display().to_string()
        );
        if with_others {
            let ours = fs::read_to_string(root().join("Cargo.toml")).unwrap();
            let (dependencies, for_tests) = ours.split_once("[dev-dependencies]").unwrap();
            for name in CRATES {
                let start = format!("\n{name} = ");
                // The versions used in tests have more features.
                let text = [for_tests, dependencies].into_iter().find_map(|part| part.split_once(&start));
                let line = text.expect("a dependency").1.lines().next().unwrap();
                writeln!(manifest, "{name} = {line}").unwrap();
            }
        }
        write(&folder.join("Cargo.toml"), &manifest);
        // The versions that this package is built with are available without a network.
        let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
        write(&folder.join("versions.lock"), &lock);
        fs::copy(folder.join("versions.lock"), folder.join("Cargo.lock")).unwrap();
        Package { name, folder }
    }

    /// Checks all examples as modules of one crate. Returns the errors, each with its example.
    pub fn check(&self, examples: &[Example]) -> Vec<String> {
        let mut modules =
            String::from("#![allow(dead_code, unused_variables)]\n#![deny(unused_mut, unused_imports, deprecated)]\n");
        for (number, example) in examples.iter().enumerate() {
            writeln!(modules, "mod example_{number};").unwrap();
            write(&self.folder.join(format!("src/example_{number}.rs")), &example.module());
        }
        write(&self.folder.join("src/lib.rs"), &modules);
        let diagnostics = self.run(&["check", "--lib"]);
        diagnostics.iter().map(|(place, found)| self.explain(examples, place, found)).collect()
    }

    fn explain(&self, examples: &[Example], place: &str, found: &Diagnostic) -> String {
        let number =
            place.strip_prefix("src/example_").and_then(|rest| rest.strip_suffix(".rs")).and_then(|n| n.parse::<usize>().ok());
        let example = number.and_then(|number| examples.get(number));
        format!("{}, in the package {:?}:\n{}", example.map_or(place, |example| &example.place), self.name, found.text)
    }

    /// Checks programs that must fail. Returns the diagnostics of each.
    pub fn fail(&self, failures: &[Failure]) -> Vec<Vec<Diagnostic>> {
        write(&self.folder.join("src/lib.rs"), "");
        for failure in failures {
            write(&self.folder.join(format!("src/bin/{}.rs", failure.name)), failure.code);
        }
        let mut diagnostics: Vec<Vec<Diagnostic>> = failures.iter().map(|_| Vec::new()).collect();
        for (place, error) in self.run(&["check", "--bins", "--keep-going"]) {
            let at = failures.iter().position(|failure| place == format!("src/bin/{}.rs", failure.name));
            match at {
                Some(at) => diagnostics[at].push(error),
                None => panic!("{place}: {}", error.text),
            }
        }
        diagnostics
    }

    /// The errors, each with the file that it is in.
    fn run(&self, arguments: &[&str]) -> Vec<(String, Diagnostic)> {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(arguments)
            .args(["--offline", "--quiet", "--message-format=json"])
            .arg("--target-dir")
            .arg(self.folder.parent().unwrap().join("target"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut errors: Vec<(String, Diagnostic)> = Vec::new();
        for (place, found) in messages.filter(is_error).map(|message| diagnostic(&message)) {
            // A text that appears twice is shown once.
            if errors.iter().all(|(_, before)| before.text != found.text) {
                errors.push((place, found));
            }
        }
        assert!(
            output.status.success() || !errors.is_empty(),
            "cargo {arguments:?} in {}: {}\n{}",
            self.folder.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        errors
    }
}

fn is_error(message: &Value) -> bool {
    message["reason"] == "compiler-message"
        && message["message"]["level"] == "error"
        // The last message, "aborting due to ...", has no location.
        && message["message"]["spans"].as_array().is_some_and(|spans| !spans.is_empty())
}

fn diagnostic(message: &Value) -> (String, Diagnostic) {
    let message = &message["message"];
    let mut spans: Vec<&Value> = message["spans"].as_array().unwrap().iter().collect();
    spans.sort_by_key(|span| span["is_primary"] != true);
    let places: Vec<(&str, usize)> = spans.into_iter().filter_map(in_package).collect();
    let place = places.first().map_or("", |(file, _)| file).to_owned();
    let lines = places.iter().filter(|(file, _)| *file == place).map(|&(_, line)| line).collect();
    (place, Diagnostic { text: message["rendered"].as_str().unwrap_or_default().to_owned(), lines })
}

/// File and line of a span, or of the code that led to it: the text of a macro has no line in the
/// package.
fn in_package(span: &Value) -> Option<(&str, usize)> {
    let mut span = span;
    while span.is_object() {
        let file = span["file_name"].as_str()?;
        if file.starts_with("src/") {
            return Some((file, span["line_start"].as_u64()? as usize));
        }
        span = &span["expansion"]["span"];
    }
    None
}

/// Writes a file unless it has that text already: cargo compares modification times.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
