//! The code that readers copy from the documents and the documentation compiles in a package of its
//! own that depends on `shmq`: each example is built there by `cargo check`. Code that must not
//! compile gets errors that say what to do.
//!
//! Examples that name another crate (serde, tokio ...) are checked in a second package, which has
//! those as well. The packages and their build results stay in cargo's directory for tests, so that
//! a second run takes seconds.

mod examples;
mod failures;
mod links;
mod package;

use examples::Example;
use package::{CRATES, Package};

fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn examples_compile_with_shmq_alone_or_with_what_they_name() {
    let examples = examples::all(root());
    // The page of a repository shows what rustdoc hides.
    let marked: Vec<&str> = examples.iter().filter(|example| example.shows_marks()).map(|example| &*example.place).collect();
    assert!(marked.is_empty(), "{marked:?} have lines that begin with `# `, which do not compile as they are shown");
    let (alone, named): (Vec<Example>, Vec<Example>) =
        examples.into_iter().filter(Example::is_checked).partition(|example| example.names_no(&CRATES));
    let places = |part: &str| alone.iter().filter(|example| example.place.starts_with(part)).count();
    assert!(places("README.md") >= 1 && places("docs/") >= 10 && places("src/") >= 100, "{} examples were found", alone.len());
    assert!(places("docs/topics.md") >= 8, "{} examples of topics were found", places("docs/topics.md"));
    let mut wrong = Package::new("alone", false).check(&alone);
    wrong.extend(Package::new("with-others", true).check(&named));
    assert!(wrong.is_empty(), "{} examples do not compile in a package of their own:\n\n{}", wrong.len(), wrong.join("\n"));
    // The README is read before anything else is installed.
    let more: Vec<&str> =
        named.iter().filter(|example| example.place.starts_with("README")).map(|example| &*example.place).collect();
    assert!(more.is_empty(), "{more:?} need more than shmq");
}

#[test]
fn what_does_not_compile_says_what_to_do() {
    let diagnostics = Package::new("failing", false).fail(failures::ALL);
    let mut wrong = Vec::new();
    for (failure, diagnostics) in failures::ALL.iter().zip(&diagnostics) {
        for (line, text) in failure.expected {
            let line = failure.line_of(line);
            if !diagnostics.iter().any(|error| error.lines.contains(&line) && error.text.contains(text)) {
                let all: String = diagnostics.iter().map(|error| format!("lines {:?}: {}\n", error.lines, error.text)).collect();
                wrong.push(format!("`{}` should say at line {line}: {text}\nbut says:\n{all}", failure.name));
            }
        }
        if diagnostics.len() > failure.expected.len() {
            let all: String = diagnostics.iter().map(|error| format!("{}\n", error.text)).collect();
            wrong.push(format!("`{}` is {} errors, not {}:\n{all}", failure.name, diagnostics.len(), failure.expected.len()));
        }
        for word in ["zerocopy", "__private"] {
            let names_it =
                diagnostics.iter().any(|error| error.text.lines().next().is_some_and(|headline| headline.contains(word)));
            assert!(!names_it, "`{}` names {word}, which readers need not know", failure.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A reader of the README finds every other document from there.
#[test]
fn links_of_all_documents_lead_somewhere() {
    let broken = links::broken(root());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let at_the_top = ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(str::to_owned);
    for document in links::guides(root()).into_iter().chain(at_the_top) {
        assert!(readme.contains(&format!("({document})")), "the README has no link to {document}");
    }
}

#[test]
fn paths_that_documents_name_are_in_the_repository() {
    let missing = links::missing_paths(root());
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn links_of_the_package_stay_inside_it() {
    let left_out = links::left_out_of_the_package(root());
    assert!(left_out.is_empty(), "{}", left_out.join("\n"));
}

/// The package has its own copy of the chart, since it leaves the bench out.
#[test]
fn the_chart_of_the_readme_is_the_one_that_the_bench_drew() {
    let chart = "throughput-64-b-1x1.svg";
    let drawn = std::fs::read(root().join("benches/compare/charts").join(chart)).unwrap();
    let shown = std::fs::read(root().join("docs").join(chart)).unwrap();
    assert!(drawn == shown, "copy the bench's charts/{chart} to docs/");
}

/// The test that `docs/first-hour.md` gives to copy is one that runs here: `tests/first_hour.rs`.
#[test]
fn the_test_to_copy_is_the_one_that_runs() {
    let guide = std::fs::read_to_string(root().join("docs/first-hour.md")).unwrap();
    let runs = std::fs::read_to_string(root().join("tests/first_hour.rs")).unwrap();
    assert!(guide.contains(&format!("```rust\n{runs}```\n")), "tests/first_hour.rs and its text in docs/first-hour.md differ");
}
