//! Folders as an operator handles them: copied, put back, damaged.

use std::fs;
use std::path::{Path, PathBuf};

/// Copies a folder with all that is in it; `to` must not be there yet.
pub fn copy(from: &Path, to: &Path) {
    assert!(!to.exists(), "`{}` is there already", to.display());
    fs::create_dir_all(to).unwrap_or_else(|error| panic!("cannot make `{}`: {error}", to.display()));
    for file in list(from) {
        let target = to.join(file.strip_prefix(from).expect("it lies below"));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).unwrap_or_else(|error| panic!("cannot make `{}`: {error}", parent.display()));
        }
        fs::copy(&file, &target).unwrap_or_else(|error| panic!("cannot copy `{}`: {error}", file.display()));
    }
}

/// Puts a copy of `from` in the place of `to`, whether that is there or not.
pub fn replace(from: &Path, to: &Path) {
    if to.exists() {
        remove(to);
    }
    copy(from, to);
}

/// Makes the folder `to` the same as `from` without moving anything: files that are in both keep their place on the disk,
/// and those that are in `to` alone go. What a snapshot of a machine does, or `rsync --inplace --delete`.
pub fn overwrite(from: &Path, to: &Path) {
    for file in list(to) {
        if !from.join(file.strip_prefix(to).expect("it lies below")).exists() {
            fs::remove_file(&file).unwrap_or_else(|error| panic!("cannot remove `{}`: {error}", file.display()));
        }
    }
    for file in list(from) {
        let target = to.join(file.strip_prefix(from).expect("it lies below"));
        // An existing file is cut to nothing and written anew.
        fs::copy(&file, &target).unwrap_or_else(|error| panic!("cannot copy `{}`: {error}", file.display()));
    }
}

/// Removes a folder.
pub fn remove(folder: &Path) {
    fs::remove_dir_all(folder).unwrap_or_else(|error| panic!("cannot remove `{}`: {error}", folder.display()));
}

/// Every file below a folder, in the order of their names.
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let found = fs::read_dir(&next).unwrap_or_else(|error| panic!("cannot list `{}`: {error}", next.display()));
        for item in found {
            let path = item.expect("a folder can be read").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Changes one byte of a file.
pub fn flip(file: &Path, at: usize, bits: u8) {
    let mut bytes = fs::read(file).unwrap_or_else(|error| panic!("cannot read `{}`: {error}", file.display()));
    bytes[at] ^= bits;
    fs::write(file, bytes).unwrap_or_else(|error| panic!("cannot write `{}`: {error}", file.display()));
}
