//! Lists segments: those with names, and those in use that have lost theirs.

use super::directory::Directory;
use super::names::{self, Place, published_name};
use super::view::View;
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The kernel appends this to the path of an unlinked file.
const DELETED: &str = " (deleted)";

/// Names that lead to segments, or to other files in their place, sorted; with the owner of each.
pub(crate) fn names_in_use() -> io::Result<Vec<(String, u32)>> {
    let (directory, mut found) = (Directory::default(), Vec::new());
    for file in std::fs::read_dir(directory.path())? {
        // A file that disappears meanwhile is skipped.
        let Ok(file) = file else { continue };
        let file_name = file.file_name();
        let Some(name) = file_name.to_str().and_then(names::published_name) else { continue };
        if let Ok(about) = file.metadata() {
            found.push((name.to_owned(), about.uid()));
        }
    }
    found.sort();
    Ok(found)
}

/// Every segment without a name that a process of this machine is attached to, sorted by the names
/// they had; with the owner of each. Found through the descriptors of all processes that this user
/// may inspect.
pub(crate) fn nameless() -> io::Result<Vec<(String, u32, View)>> {
    let directory = Directory::default();
    // As the kernel reports it, without symbolic links.
    let path = fs::canonicalize(directory.path()).unwrap_or_else(|_| directory.path().to_owned());
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")?.flatten() {
        let is_process = process.file_name().to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        // The process may be gone, or another user's.
        let descriptors = is_process.then(|| fs::read_dir(process.path().join("fd")).ok()).flatten();
        for link in descriptors.into_iter().flatten().flatten() {
            let Some(name) = lost_name(&link.path(), &path) else { continue };
            let Some(file) = reopened(&link.path()) else { continue };
            let Ok(about) = file.metadata() else { continue };
            // Its anchor is no name.
            if about.nlink() > 1 || !seen.insert((about.dev(), about.ino())) {
                continue;
            }
            // A forked child that has not called yet has it open too, but does not use it.
            match View::over(file, Place::published(&directory, &name)) {
                Ok(view) if view.is_in_use() => found.push((name, about.uid(), view)),
                _ => {}
            }
        }
    }
    found.sort_by(|(one, _, _), (other, _, _)| one.cmp(other));
    Ok(found)
}

/// The name that the file behind a descriptor had.
fn lost_name(link: &Path, directory: &Path) -> Option<String> {
    let path = fs::read_link(link).ok()?;
    let file_name = path.strip_prefix(directory).ok()?.to_str()?.strip_suffix(DELETED)?;
    published_name(file_name).map(str::to_owned)
}

fn reopened(link: &Path) -> Option<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK).open(link).ok()
}
