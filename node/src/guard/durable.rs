//! A file that is there whole or not at all.
//!
//! It is written under another name, synced, and only then gets its own; the folder is synced last, so that
//! the name survives a power cut too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Makes `path`, readable by its owner alone, with what `fill` writes into it.
///
/// # Errors
/// `AlreadyExists` if it is there: nothing is ever replaced.
pub(crate) fn create(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let draft = write_draft(path, fill)?;
    // Unlike a rename, a link does not replace what is there.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    sync_folder(path)
}

/// Puts a new file in the place of `path`, which keeps what it was until the new one is whole.
pub(crate) fn replace(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let draft = write_draft(path, fill)?;
    fs::rename(&draft, path)?;
    sync_folder(path)
}

fn write_draft(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<PathBuf> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    // What a crash left behind was never whole.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&draft)?;
    fill(&file)?;
    file.sync_all()?;
    Ok(draft)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(folder).unwrap().map(name).collect()
    }

    #[test]
    fn what_is_there_is_never_replaced_by_create() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, |mut file| file.write_all(b"one")).unwrap();
        let again = create(&path, |mut file| file.write_all(b"two"));
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(dir.path()), ["file"], "no draft is left");
        replace(&path, |mut file| file.write_all(b"three")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(names(dir.path()), ["file"]);
    }

    #[test]
    fn a_draft_that_fails_or_was_left_behind_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(dir.path().join("file.new"), b"left behind").unwrap();
        assert!(create(&path, |_| Err(io::Error::other("no"))).is_err());
        assert!(!path.exists());
        create(&path, |mut file| file.write_all(b"one")).unwrap();
        assert!(replace(&path, |_| Err(io::Error::other("no"))).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn nobody_else_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, |_| Ok(())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
