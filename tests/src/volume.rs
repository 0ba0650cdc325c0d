//! Disks that can be broken: one that is small, and one whose power can be cut.
//!
//! The small one is a `tmpfs`. The other is an ext4 file system in a file: [`Volume::cut`] tells the kernel to forget
//! everything that was not flushed (`EXT4_IOC_SHUTDOWN` without a flush of its journal), which is what a power cut
//! does to a disk that keeps its promises. SIGKILL does nothing of the kind: the kernel still writes what a killed process
//! wrote, so only this shows whether an fsync is missing.

use std::path::{Path, PathBuf};

use crate::programs::workspace;
use crate::skip::{self, Missing};
use crate::wait;
use crate::world::text;

/// A mounted file system that goes away.
#[derive(Debug)]
pub struct Volume {
    /// The file that an ext4 file system is in.
    image: Option<PathBuf>,
    /// The device that leads to that file, while it is mounted.
    device: Option<String>,
    mount: PathBuf,
    mounted: bool,
}

impl Volume {
    /// A disk of so many MiB in memory, at `mount`.
    pub fn small(mount: &Path, mib: u64) -> Result<Self, Missing> {
        skip::root()?;
        make(mount);
        skip::run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "writ-tests", &text(mount)])?;
        Ok(Self { image: None, device: None, mount: mount.to_owned(), mounted: true })
    }

    /// A disk of so many MiB in the file `image`, at `mount`.
    pub fn ext4(image: &Path, mount: &Path, mib: u64) -> Result<Self, Missing> {
        skip::root()?;
        for needed in ["mkfs.ext4", "losetup", "python3"] {
            skip::program(needed)?;
        }
        make(mount);
        skip::run("truncate", &["-s", &format!("{mib}M"), &text(image)])?;
        skip::run("mkfs.ext4", &["-q", "-F", &text(image)])?;
        let mut volume = Self { image: Some(image.to_owned()), device: None, mount: mount.to_owned(), mounted: false };
        volume.mount()?;
        Ok(volume)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// The power goes: what was not flushed is gone, and nothing more is written. Whoever has files open here gets
    /// errors; it should stand still ([`crate::node::Node::pause`]) so that it cannot tell anybody anything after this moment.
    pub fn cut(&self) -> Result<(), Missing> {
        assert!(self.image.is_some(), "the power of a disk in memory cannot be cut");
        let program = workspace().join("tests").join("faults").join("cut.py");
        skip::run("python3", &[&text(&program), &text(&self.mount)])
    }

    /// The power is back. Nobody may have files open here.
    pub fn restore(&mut self) {
        self.unmount();
        self.mount().unwrap_or_else(|missing| panic!("the disk does not come back: {missing:?}"));
    }

    /// Takes all the room that is left, in a file; gives that file.
    pub fn fill(&self) -> PathBuf {
        let ballast = self.mount.join("ballast");
        let mut file = std::fs::File::create(&ballast).expect("a full disk still has names");
        for chunk in [vec![1; 64 * 1024], vec![1; 512]] {
            while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
        }
        ballast
    }

    fn mount(&mut self) -> Result<(), Missing> {
        let image = self.image.as_ref().expect("only a disk in a file is mounted again");
        // A device of its own for each mount. Somebody else may still hold the one before: a program that runs in a network
        // of its own has a copy of all mounts. On that device the power stays cut.
        let device = skip::said("losetup", &["--find", "--show", &text(image)])?;
        let mounted = skip::run("mount", &[&device, &text(&self.mount)]);
        self.device = Some(device);
        self.mounted = mounted.is_ok();
        mounted
    }

    fn unmount(&mut self) {
        wait::until("the disk to be let go", || skip::run("umount", &[&text(&self.mount)]).ok());
        self.mounted = false;
        self.release();
    }

    /// The device goes once nobody uses it.
    fn release(&mut self) {
        if let Some(device) = self.device.take() {
            let _ = skip::run("losetup", &["--detach", &device]);
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: a process that still has files here must not leave the mount behind.
            let _ = skip::run("umount", &["-l", &text(&self.mount)]);
        }
        self.release();
    }
}

fn make(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap_or_else(|error| panic!("cannot make `{}`: {error}", folder.display()));
}
