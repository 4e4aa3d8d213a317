//! What this process knows of the objects' files.

use std::collections::HashMap;

use osis_core::object::Id;
use osis_core::schema::TypeId;

use crate::files::Stamp;
use crate::record::Version;

/// What this process knows of the objects' files. Saved with the catalogue, so that a start finds
/// what people changed meanwhile by looking at stamps alone.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tree {
    /// The files of objects.
    pub(crate) objects: HashMap<(TypeId, Id), Known>,
    /// The files of days, by their path below the store.
    pub(crate) days: HashMap<String, DayFile>,
}

/// What is known of the file of an object.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Known {
    /// The file as it was last looked at.
    pub(crate) stamp: Stamp,
    /// The version in it.
    pub(crate) version: Version,
    /// Whether it is as the store writes it, so that it can be written anew without reading.
    pub(crate) is_canonical: bool,
}

impl Known {
    /// A file that was seen to hold a version, though this process has not seen it: it differs from
    /// whatever is there now, and if there is nothing, somebody has removed it.
    pub(crate) fn unseen(version: Version) -> Self {
        let stamp = Stamp {
            inode: 0,
            length: 0,
            modified: 0,
            is_file: true,
            is_directory: false,
        };
        Self {
            stamp,
            version,
            is_canonical: false,
        }
    }
}

/// What is known of the file of a day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct DayFile {
    /// The file as it was last looked at.
    pub(crate) stamp: Stamp,
    /// The log type whose objects it holds.
    pub(crate) type_id: TypeId,
    /// They, with their versions; of one whose block was not taken in, the version that the file
    /// last held.
    pub(crate) objects: Vec<(Id, Version)>,
    /// Those of them whose blocks a person wrote and the store has not taken in.
    pub(crate) open: Vec<Id>,
    /// Whether something in it is told to people, so that a start has to look at it again.
    pub(crate) is_told: bool,
}

impl DayFile {
    /// A file in which nothing is left to be taken in.
    pub(crate) fn settled(stamp: Stamp, type_id: TypeId, objects: Vec<(Id, Version)>) -> Self {
        Self {
            stamp,
            type_id,
            objects,
            open: Vec::new(),
            is_told: false,
        }
    }

    /// Takes the block of an event for a person's, which is yet to be looked at; `version` is what
    /// the file last held of it, if that is known.
    pub(crate) fn leave_open(&mut self, id: Id, version: Option<Version>) {
        self.objects
            .extend(version.map(|version| (id.clone(), version)));
        self.open.push(id);
        self.is_told = true;
    }

    /// As [`Self::leave_open`], if the file has an event in another version than the one served.
    pub(crate) fn open_if_there(&mut self, id: &Id, served: Option<Version>) {
        let place = self.objects.iter().position(|(own, _)| own == id);
        if let Some(place) = place.filter(|place| Some(self.objects[*place].1) != served) {
            self.objects.remove(place);
            self.leave_open(id.clone(), None);
        }
    }
}
