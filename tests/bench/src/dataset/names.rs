//! How users, roles and files are called.

use super::{FILES, FOLDERS, ORGANISATIONS};

/// A user, below the organisation of the home department.
pub(crate) fn user(home: u64, number: u64) -> String {
    format!("user:org{}/u{number}", home % ORGANISATIONS)
}

/// The role of a team.
pub(crate) fn team_role(department: u64, team: u64) -> String {
    format!("role:org{}/dep{department}/team{team}", department % ORGANISATIONS)
}

/// The role of a department.
pub(crate) fn department_role(department: u64) -> String {
    format!("role:org{}/dep{department}", department % ORGANISATIONS)
}

/// The role of the organisation that a department is part of.
pub(crate) fn organisation_role(department: u64) -> String {
    format!("role:org{}", department % ORGANISATIONS)
}

/// A file of a department's folder.
pub(crate) fn file(department: u64, folder: u64, file: u64) -> String {
    format!("file:org{}/dep{department}/p{folder}/f{file}", department % ORGANISATIONS)
}

/// All files of a folder.
pub(crate) fn folder(department: u64, folder: u64) -> String {
    format!("file:org{}/dep{department}/p{folder}/*", department % ORGANISATIONS)
}

/// All files of a department.
pub(super) fn everything_below(department: u64) -> String {
    format!("file:org{}/dep{department}/*", department % ORGANISATIONS)
}

/// Department, folder and place of the file of this number among all.
pub(crate) fn place_of_file(number: u64) -> (u64, u64, u64) {
    (number / (FOLDERS * FILES), number / FILES % FOLDERS, number % FILES)
}
