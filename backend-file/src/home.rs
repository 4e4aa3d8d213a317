//! Whether the store's directory is still the one that was opened.
//!
//! A directory that was moved, removed or put in place of another while a process has it open is
//! not noticed by whoever only writes to its path: the folders would be made anew, and a second
//! store begun where the first one was. So whoever commits or folds looks here first. `store.toml`
//! tells: it is written once, and is in every store.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use osis_core::error::Result;

use crate::error::{io_error, unavailable};
use crate::files::{Files, Stamp};
use crate::layout::Layout;

/// The directory of a store, as it was opened.
#[derive(Debug)]
pub(crate) struct Home {
    files: Arc<dyn Files>,
    root: PathBuf,
    path: PathBuf,
    /// The file as it was when it was looked at last, and the id in it; nothing where there was none.
    known: Mutex<Option<(Stamp, String)>>,
}

impl Home {
    /// Takes what is there for the store.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(files: Arc<dyn Files>, layout: &Layout) -> Result<Self> {
        let home = Self {
            files,
            root: layout.root().to_owned(),
            path: layout.store_file(),
            known: Mutex::new(None),
        };
        let found = home.look()?;
        Ok(Self {
            known: Mutex::new(found),
            ..home
        })
    }

    /// Refuses where another store is in its place, or none. One look.
    ///
    /// # Errors
    /// `Unavailable`; those of the file system.
    pub(crate) fn check(&self) -> Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((stamp, id)) = &*known else {
            return Ok(());
        };
        let now = self.files.stamp(&self.path);
        let now = now.map_err(|error| io_error(&self.path, &error))?;
        if now == Some(*stamp) {
            return Ok(());
        }
        // A version control may have written the same file anew.
        match self.look()? {
            Some((stamp, found)) if found == *id => {
                *known = Some((stamp, found));
                Ok(())
            }
            Some(_) => Err(self.refused("holds another store by now")),
            None => Err(self.refused("was moved or removed, or its volume is not mounted")),
        }
    }

    fn refused(&self, what: &str) -> osis_core::Error {
        let root = self.root.display();
        unavailable(
            None,
            format!(
                "{root} {what}, so nothing more is written; put it back, or stop this process and \
                 start it where the store is"
            ),
        )
    }

    fn look(&self) -> Result<Option<(Stamp, String)>> {
        let at = |error: std::io::Error| io_error(&self.path, &error);
        let Some(stamp) = self.files.stamp(&self.path).map_err(at)? else {
            return Ok(None);
        };
        match self.files.read(&self.path) {
            Ok(bytes) => Ok(Some((stamp, id_of(&String::from_utf8_lossy(&bytes))))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(at(error)),
        }
    }
}

/// What tells a store from others: the id in its file.
fn id_of(text: &str) -> String {
    let table = text.parse::<toml_edit::DocumentMut>().ok();
    let id = table.as_ref().and_then(|table| table.get("id")?.as_str());
    id.unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Disk;

    #[test]
    fn tells_its_store_from_another_and_from_none() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().join("store"));
        let write = |text: &str| {
            std::fs::create_dir_all(layout.root()).unwrap();
            std::fs::write(layout.store_file(), text).unwrap();
        };
        write("format = 1\nid = \"one\"\n");
        let home = Home::open(Arc::new(Disk), &layout).unwrap();
        home.check().unwrap();
        write("# with a comment\nformat = 1\nid = \"one\"\n");
        home.check().unwrap();
        home.check().unwrap();
        write("format = 1\nid = \"other\"\n");
        assert!(
            home.check()
                .unwrap_err()
                .message()
                .contains("another store")
        );
        std::fs::remove_dir_all(layout.root()).unwrap();
        assert!(home.check().unwrap_err().message().contains("was moved"));
        write("format = 1\nid = \"one\"\n");
        home.check().unwrap();
    }
}
