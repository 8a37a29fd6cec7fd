//! Sources of the options, in libpq's order: the URI, then a service, then the environment.
//! <https://www.postgresql.org/docs/current/libpq-envars.html>

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs};

use industrydb_core::file::read_file;
use industrydb_core::{DatabaseConfig, Error, Result, Secret};

/// The options, each with the environment variable that libpq reads it from. Options without a
/// variable can be set in a URI or a service.
const OPTIONS: [(&str, Option<&str>); 22] = [
    ("application_name", Some("PGAPPNAME")),
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("connect_retries", None),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("dbname", Some("PGDATABASE")),
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("keepalives", None),
    ("keepalives_count", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("options", Some("PGOPTIONS")),
    ("passfile", Some("PGPASSFILE")),
    ("password", Some("PGPASSWORD")),
    ("port", Some("PGPORT")),
    ("service", Some("PGSERVICE")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("user", Some("PGUSER")),
];

/// Options that a configuration holds in fields of its own, not among the options of its URI.
const PARTS: [&str; 5] = ["dbname", "host", "password", "port", "user"];

/// Option of our own, which is refused in a service, as libpq refuses it.
const OWN: &str = "connect_retries";

/// Options of libpq that industrydb does not have, with their environment variables and the values
/// that change nothing. Any other value in a service or the environment is refused: most of these
/// options ask for more security.
const MISSING: [(&str, Option<&str>, &[&str]); 23] = [
    ("client_encoding", Some("PGCLIENTENCODING"), ANY),
    ("fallback_application_name", None, ANY),
    ("gssdelegation", Some("PGGSSDELEGATION"), &["0"]),
    ("gssencmode", Some("PGGSSENCMODE"), &["disable", "prefer"]),
    ("gsslib", Some("PGGSSLIB"), ANY),
    ("krbsrvname", Some("PGKRBSRVNAME"), ANY),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), ANY),
    ("max_protocol_version", Some("PGMAXPROTOCOLVERSION"), ANY),
    (
        "min_protocol_version",
        Some("PGMINPROTOCOLVERSION"),
        &["3.0"],
    ),
    ("replication", None, &["0", "false", "off", "no"]),
    ("require_auth", Some("PGREQUIREAUTH"), &[]),
    ("requirepeer", Some("PGREQUIREPEER"), &[]),
    ("requiressl", Some("PGREQUIRESSL"), &["0"]),
    (
        "ssl_max_protocol_version",
        Some("PGSSLMAXPROTOCOLVERSION"),
        &["TLSv1.3"],
    ),
    (
        "ssl_min_protocol_version",
        Some("PGSSLMINPROTOCOLVERSION"),
        &["TLSv1", "TLSv1.1", "TLSv1.2"],
    ),
    ("sslcertmode", Some("PGSSLCERTMODE"), &["allow"]),
    ("sslcompression", Some("PGSSLCOMPRESSION"), ANY),
    ("sslcrl", Some("PGSSLCRL"), &[]),
    ("sslcrldir", Some("PGSSLCRLDIR"), &[]),
    ("sslnegotiation", Some("PGSSLNEGOTIATION"), &["postgres"]),
    ("sslpassword", None, &[]),
    ("sslsni", Some("PGSSLSNI"), &["1"]),
    ("tcp_user_timeout", None, &["0"]),
];

/// Options whose empty value libpq refuses: a script that has lost the value must not silently get
/// less than it asks for.
const NEVER_EMPTY: [&str; 4] = [
    "channel_binding",
    "service",
    "sslmode",
    "target_session_attrs",
];

/// Stands for any value of an option of [`MISSING`]: none of them matters.
const ANY: &[&str] = &["*"];

/// Source of a value.
#[derive(Debug, Clone)]
enum Origin {
    Uri,
    Service(String),
    Variable(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri => Ok(()),
            Self::Service(name) => write!(f, " (in the service {name:?})"),
            Self::Variable(name) => write!(f, " (in the environment's {name})"),
        }
    }
}

/// The values of options by their names, each with its source.
pub(crate) struct Settings(BTreeMap<&'static str, (String, Origin)>);

impl Settings {
    /// Refuses options of a URI that PostgreSQL does not have.
    pub(crate) fn check_names(config: &DatabaseConfig) -> Result<()> {
        let names = OPTIONS.iter().map(|(name, _)| *name);
        // A list of ports is an option.
        let is_option = |name: &&str| *name == "port" || !PARTS.contains(name);
        let names: Vec<&str> = names.filter(is_option).collect();
        config.reject_unknown_options("PostgreSQL", &names)
    }

    /// Collects the options of the URI, then those that only a service sets, then those that only
    /// the environment sets.
    pub(crate) fn new(config: &DatabaseConfig) -> Result<Self> {
        let mut settings = Self(BTreeMap::new());
        for (name, value) in &config.options {
            settings.add(name, value, &Origin::Uri);
        }
        let port = config.port.map(|port| port.to_string());
        let password = config.password.as_ref();
        for (name, value) in [
            ("dbname", config.database.as_deref()),
            ("host", config.host.as_deref()),
            ("password", password.and_then(Secret::text)),
            ("port", port.as_deref()),
            ("user", config.user.as_deref()),
        ] {
            if let Some(value) = value {
                settings.add(name, value, &Origin::Uri);
            }
        }
        settings.add_variable("service")?;
        if let Some(service) = settings.get("service").map(str::to_owned) {
            settings.add_service(&service)?;
        }
        for (name, _) in OPTIONS {
            settings.add_variable(name)?;
        }
        for (_, variable, harmless) in MISSING {
            if let Some(variable) = variable
                && let Some(value) = env_var(variable)?
            {
                reject_missing(variable, &value, harmless, "the environment")?;
            }
        }
        Ok(settings)
    }

    /// Returns the value of an option, if it is set anywhere.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|(value, _)| value.as_str())
    }

    /// Returns an error about an option's value, which names the source of the value.
    pub(crate) fn refused(&self, name: &str, why: &str) -> Error {
        let origin = self.0.get(name).map(|(_, origin)| origin.to_string());
        Error::configuration(format!("{why}{}", origin.unwrap_or_default()))
    }

    /// Returns the whole number that an option has, or its default.
    pub(crate) fn number(
        &self,
        name: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let number = text.trim().parse().ok();
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                let (from, to) = (range.start(), range.end());
                let why =
                    format!("{name} must be a whole number from {from} to {to}, not {text:?}");
                self.refused(name, &why)
            })
    }

    /// Sets an option unless it is set already; returns whether there is such an option.
    fn add(&mut self, name: &str, value: &str, origin: &Origin) -> bool {
        let is_ours = |known: &&str| *known != OWN || matches!(origin, Origin::Uri);
        let mut names = OPTIONS.iter().map(|(known, _)| *known).filter(is_ours);
        let known = names.find(|known| *known == name);
        if let Some(known) = known {
            let given = (value.to_owned(), origin.clone());
            self.0.entry(known).or_insert(given);
        }
        known.is_some()
    }

    fn add_variable(&mut self, name: &str) -> Result<()> {
        let variable = OPTIONS.iter().find(|(known, _)| *known == name);
        if let Some(variable) = variable.and_then(|(_, variable)| *variable)
            && let Some(value) = variable_of(variable)?
            && (!value.is_empty() || NEVER_EMPTY.contains(&name))
        {
            self.add(name, &value, &Origin::Variable(variable));
        }
        Ok(())
    }

    /// Adds the options of a service, which is searched in the user's file, and then in the
    /// system's.
    fn add_service(&mut self, service: &str) -> Result<()> {
        let users = match env_var("PGSERVICEFILE")? {
            Some(path) => Some(PathBuf::from(path)),
            None => in_home(".pg_service.conf").filter(|path| path.exists()),
        };
        let system = env_var("PGSYSCONFDIR")?
            .map(|folder| Path::new(&folder).join("pg_service.conf"))
            .filter(|path| path.exists());
        for path in users.iter().chain(&system) {
            let refused = |why: String| {
                Error::configuration(format!("the service file {}: {why}", path.display()))
            };
            let bytes = read_file(path).map_err(|error| refused(error.to_string()))?;
            let text = String::from_utf8_lossy(&bytes); // a comment may be in any encoding
            let Some(section) = section(&text, service).map_err(refused)? else {
                continue;
            };
            for (name, value) in section {
                if name == "service" {
                    let why = format!("the service {service:?} names another one");
                    return Err(refused(why));
                }
                if self.add(name, value, &Origin::Service(service.to_owned())) {
                    continue;
                }
                let missing = MISSING.iter().find(|(missing, ..)| *missing == name);
                let Some((_, _, harmless)) = missing else {
                    let why = format!("the service {service:?} has an unknown option {name:?}");
                    return Err(refused(why));
                };
                reject_missing(name, value, harmless, &format!("the service {service:?}"))?;
            }
            return Ok(());
        }
        Err(Error::configuration(format!(
            "there is no service {service:?}: it is looked for in the file that PGSERVICEFILE names or in \
             ~/.pg_service.conf, and in PGSYSCONFDIR's pg_service.conf"
        )))
    }
}

/// Returns the options of a section, by libpq's rules: a line `[name]`, then lines `option=value`
/// without blanks around the equals sign. The error says what is wrong in which line, without
/// quoting the line.
fn section<'a>(text: &'a str, service: &str) -> Result<Option<Vec<(&'a str, &'a str)>>, String> {
    let header = format!("[{service}]");
    let mut options = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_matches(|c: char| c.is_ascii_whitespace());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            if options.is_some() {
                break;
            }
            if line.starts_with(&header) {
                options = Some(Vec::new());
            }
        } else if let Some(options) = &mut options {
            let option = line.split_once('=');
            options.push(
                option.ok_or_else(|| format!("line {number} is not of the form name=value"))?,
            );
        }
    }
    Ok(options)
}

fn reject_missing(name: &str, value: &str, harmless: &[&str], place: &str) -> Result<()> {
    let is_harmless = |known: &&str| known.eq_ignore_ascii_case(value);
    if harmless == ANY || harmless.iter().any(is_harmless) {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "{place} sets {name}, which industrydb does not have: without it, the session would not be what \
         libpq makes of it; leave it out for this process"
    )))
}

/// Returns the value of an environment variable; an empty one counts as not set.
pub(crate) fn env_var(name: &str) -> Result<Option<String>> {
    Ok(variable_of(name)?.filter(|value| !value.is_empty()))
}

fn variable_of(name: &str) -> Result<Option<String>> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Error::configuration(format!(
            "the environment's {name} is not UTF-8"
        ))),
    }
}

/// Returns the path of a file in the user's home.
pub(crate) fn in_home(name: &str) -> Option<PathBuf> {
    env::home_dir().map(|home| home.join(name))
}

/// Whether a file's group may read a secret in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    MayNot,
    /// The group may read a file that belongs to root: the system's services share such keys.
    MayReadOfRoot,
}

/// Returns whether others than its owner may use a file, by libpq's rules.
#[cfg(unix)]
pub(crate) fn is_open_to_others(path: &Path, group: Group) -> bool {
    use std::os::unix::fs::MetadataExt;
    const ROOT: u32 = 0;
    let is_open = |found: fs::Metadata| {
        let may_read = group == Group::MayReadOfRoot && found.uid() == ROOT;
        found.mode() & if may_read { 0o037 } else { 0o077 } != 0
    };
    path.metadata().is_ok_and(is_open)
}

#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &Path, _: Group) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_at_the_next_one() {
        let file = "host=nowhere\n# a comment\n[other]\nhost=a\n\n [mine] \n port=1 \n  # b\nuser= x=y\n[mine]\nport=2\n";
        assert_eq!(
            section(file, "mine").expect("valid"),
            Some(vec![("port", "1"), ("user", " x=y")])
        );
        assert_eq!(section(file, "none").expect("valid"), None);
        assert_eq!(
            section("[a]\n\nhunter2\n", "a").expect_err("no option"),
            "line 3 is not of the form name=value"
        );
    }
}
