//! Links between the documents of the repository, and the paths that they name: the files and
//! headings exist, and nothing refers to what a published package leaves out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

/// The guides, from the root of the repository.
pub fn guides(root: &Path) -> Vec<String> {
    markdown(root, "docs")
}

/// Every document of the repository, as a path from its root: those at the top, the guides, and the
/// README of each package and bench.
pub fn documents(root: &Path) -> Vec<String> {
    let mut found = markdown(root, "");
    found.extend(guides(root));
    for folder in ["benches/compare", "cli", "derive", "fuzz", "python", "bridge", "capi"] {
        found.extend(markdown(root, folder));
    }
    found
}

fn markdown(root: &Path, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| if folder.is_empty() { name } else { format!("{folder}/{name}") })
        .collect();
    found.sort();
    found
}

/// Links to missing targets.
pub fn broken(root: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    let mut found = 0;
    for page in documents(root) {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        for link in links(&text) {
            found += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = root.join(target(&page, file));
            if !target.exists() {
                broken.push(format!("{page}: {link} is not there"));
            } else if !heading.is_empty() && !headings(&fs::read_to_string(&target).unwrap()).any(|there| there == heading) {
                broken.push(format!("{page}: {link} is no heading there"));
            }
        }
    }
    assert!(found > 40, "{found} links were found");
    broken
}

/// Paths in backquotes, such as `src/lib.rs`, that are not in the repository, in the documents at
/// the top and the guides. The changelog may name files that no longer exist, and the first hour
/// names files of its reader.
pub fn missing_paths(root: &Path) -> Vec<String> {
    let mut missing = Vec::new();
    let mut found = 0;
    let pages = markdown(root, "").into_iter().chain(guides(root));
    for page in pages.filter(|page| page != "CHANGELOG.md" && page != "docs/first-hour.md") {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        for path in paths(&text) {
            found += 1;
            if !root.join(path).exists() {
                missing.push(format!("{page}: `{path}` is not there"));
            }
        }
    }
    assert!(found > 80, "{found} paths were found");
    missing
}

/// Links in documents of the package `shmq` to what the package leaves out.
pub fn left_out_of_the_package(root: &Path) -> Vec<String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["package", "--list", "--allow-dirty", "--offline", "--quiet", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let packed: BTreeSet<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert!(packed.contains("README.md") && packed.contains("src/lib.rs"), "{packed:?}");
    let mut left_out = Vec::new();
    for page in documents(root).into_iter().filter(|page| packed.contains(page)) {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        for link in links(&text) {
            let target = target(&page, link.split('#').next().unwrap());
            let inside = format!("{target}/");
            if !packed.contains(&target) && !packed.iter().any(|path| path.starts_with(&inside)) {
                left_out.push(format!("{page}: {link} is not in the package"));
            }
        }
    }
    left_out
}

/// The target of a link of a page, from the root; without a file, the page itself.
fn target(page: &str, file: &str) -> String {
    if file.is_empty() {
        return page.to_owned();
    }
    let mut path = PathBuf::new();
    for part in Path::new(page).parent().unwrap().join(file).components() {
        match part {
            Component::ParentDir => assert!(path.pop(), "{page}: {file} leads out of the repository"),
            part => path.push(part),
        }
    }
    path.to_str().unwrap().to_owned()
}

/// The text in `](...)`, without links to other sites.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text)
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ']).next())
        .filter(|link| !link.contains("://"))
}

/// Folders at the top of the repository: text that begins with one of them is a path.
const FOLDERS: [&str; 11] =
    ["src/", "xtask/", "tests/", "benches/", "docs/", "examples/", "derive/", "fuzz/", "cli/", "python/", ".ci/"];

/// Texts between backquotes that are paths from the root of the repository.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    prose(text)
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|code| FOLDERS.iter().any(|folder| code.starts_with(folder)))
        .filter(|code| !code.contains([' ', '*', '{', '<', '$']) && !code.contains("NAME"))
}

/// Headings in the form that links use.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|line| line.starts_with('#')).map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    })
}

/// The lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}
