//! Secrets, such as passwords, which are never printed.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::error::Result;
use super::stop::Stop;

/// Text that is never printed: `Debug` shows `***`.
#[derive(Clone)]
pub struct Secret(Kind);

/// Function that returns a secret whenever one is needed; `Stop` ends its wait.
pub type Ask = Arc<dyn Fn(&Stop) -> Result<String> + Send + Sync>;

#[derive(Clone)]
enum Kind {
    Text(String),
    /// Identity and function of a secret that is asked for.
    Asked(usize, Ask),
}

impl Secret {
    /// Wraps `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Kind::Text(text.into()))
    }

    /// Wraps a function that is called whenever the secret is needed, such as one that makes a
    /// token which soon expires. Secrets of the same `identity` are equal.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use industrydb_core::{Secret, Stop};
    ///
    /// let secret = Secret::asked(1, Arc::new(|_| Ok("token".to_owned())));
    /// assert_eq!(secret.reveal(&Stop::default())?, "token");
    /// assert_eq!(secret.text(), None);
    /// # Ok::<(), industrydb_core::Error>(())
    /// ```
    pub fn asked(identity: usize, ask: Ask) -> Self {
        Self(Kind::Asked(identity, ask))
    }

    /// Returns the text itself, for the code that logs in with it. A secret that is asked for is
    /// asked for anew by each call.
    ///
    /// # Errors
    ///
    /// The error of the function that is asked.
    pub fn reveal(&self, stop: &Stop) -> Result<Cow<'_, str>> {
        match &self.0 {
            Kind::Text(text) => Ok(Cow::Borrowed(text)),
            Kind::Asked(_, ask) => ask(stop).map(Cow::Owned),
        }
    }

    /// Returns the text; `None` if it must be asked for.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Kind::Text(text) => Some(text),
            Kind::Asked(..) => None,
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Text(one), Kind::Text(other)) => one == other,
            (Kind::Asked(one, _), Kind::Asked(other, _)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Secret {}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Kind::Text(text) => text.hash(state),
            Kind::Asked(identity, _) => identity.hash(state),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
