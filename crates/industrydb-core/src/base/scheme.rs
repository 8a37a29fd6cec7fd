//! URI schemes of the kinds of databases.

/// URI scheme of a kind of database.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    /// Name of the scheme, which is also the kind of database.
    pub name: &'static str,
    /// Other names of the scheme.
    pub synonyms: &'static [&'static str],
    /// Whether a URI names a file instead of a server.
    pub is_file: bool,
}

impl Scheme {
    /// Returns whether this is the scheme's name, or another name of it.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.synonyms.contains(&name)
    }
}
