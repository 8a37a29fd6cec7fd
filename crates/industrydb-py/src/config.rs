//! The Python class `DatabaseConfig`.

#![expect(
    clippy::doc_markdown,
    reason = "Python's `help` shows these texts, which are numpydoc"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use industrydb_core::{DatabaseConfig, Secret};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyType};

use crate::arguments::{argument, path, port, text, wrong_type};
use crate::databases::{check, from_uri, schemes};
use crate::errors::{ConfigurationError, to_python};
use crate::parts::{check_kind, meant, refused};
use crate::password::Callable;

/// Address of a database, and how to log in.
///
/// Configurations with the same fields are equal. ``repr`` masks the
/// password. A pickle contains the password, so that the unpickled
/// configuration can log in; one whose password is asked for cannot be
/// pickled.
///
/// Parameters
/// ----------
/// db_type
///     ``"postgresql"`` (or ``"postgres"``), ``"mysql"`` (or
///     ``"mariadb"``), ``"sqlite"``, or ``"mssql"`` (or ``"sqlserver"``).
/// host, port, database, username, password
///     Address of a server, and its login. For PostgreSQL, `host` may also
///     be the folder of a Unix socket. `password` may be a function without
///     arguments that returns the password; each login calls it.
/// password_command
///     A command that prints the password, in place of `password`. Give a
///     list of arguments, or one text: it is split as a shell splits it.
///     Each login runs the command, without a shell.
/// path
///     Path of an SQLite file.
/// options
///     Options of the database, as its page lists them. Each may also be
///     given as a keyword argument: ``sslmode="require"``.
///
/// Raises
/// ------
/// ConfigurationError
///     If the database, an argument or an option is unknown; the message
///     names the one that may be meant.
///
/// Examples
/// --------
/// >>> from industrydb import DatabaseConfig
/// >>> config = DatabaseConfig("postgresql", host="db", password="s@cret")
/// >>> config
/// DatabaseConfig('postgresql', host='db', password='***')
/// >>> config.to_uri()
/// 'postgresql://db'
/// >>> config.to_uri(include_secrets=True)
/// 'postgresql://:s%40cret@db'
#[pyclass(
    name = "DatabaseConfig",
    module = "industrydb",
    frozen,
    eq,
    hash,
    skip_from_py_object
)]
#[derive(Clone)]
pub(crate) struct PyDatabaseConfig {
    pub(crate) config: DatabaseConfig,
    /// The function that is asked for the password, if there is one.
    asked: Option<Callable>,
}

impl PartialEq for PyDatabaseConfig {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl Eq for PyDatabaseConfig {}

impl Hash for PyDatabaseConfig {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.config.hash(state);
    }
}

impl PyDatabaseConfig {
    fn checked(py: Python<'_>, config: DatabaseConfig, asked: Option<Callable>) -> PyResult<Self> {
        check(&config).map_err(|error| to_python(py, &error))?;
        Ok(Self { config, asked })
    }

    /// Returns an error if the password is in no text.
    fn with_text(&self, what: &str) -> PyResult<()> {
        if self.asked.is_none() {
            return Ok(());
        }
        Err(ConfigurationError::new_err(format!(
            "the password is asked from a function at each login, so {what} cannot have it"
        )))
    }

    /// Returns the parts that are given, by the names of their arguments.
    fn parts<'py>(&self, py: Python<'py>, password: Option<&str>) -> PyResult<Bound<'py, PyDict>> {
        let config = &self.config;
        let (database, path) = if config.is_file {
            (None, config.database.as_deref())
        } else {
            (config.database.as_deref(), None)
        };
        let parts = PyDict::new(py);
        if let Some(host) = &config.host {
            parts.set_item("host", host)?;
        }
        if let Some(port) = config.port {
            parts.set_item("port", port)?;
        }
        let texts = [
            ("database", database),
            ("path", path),
            ("username", config.user.as_deref()),
            ("password", password.filter(|_| config.password.is_some())),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                parts.set_item(name, value)?;
            }
        }
        if !config.options.is_empty() {
            parts.set_item("options", config.options.clone())?;
        }
        Ok(parts)
    }
}

#[pymethods]
impl PyDatabaseConfig {
    #[new]
    #[pyo3(signature = (db_type, **kwargs), text_signature = "(db_type, *, host=None, port=None, database=None, username=None, password=None, password_command=None, path=None, **options)")]
    fn new(
        py: Python<'_>,
        db_type: &Bound<'_, PyAny>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut config = DatabaseConfig::named(&argument("db_type", db_type)?, &schemes());
        check_kind(py, &config)?;
        let mut others = Vec::new();
        let mut asked = None;
        for (name, value) in kwargs.into_iter().flatten() {
            let name: String = name.extract()?;
            if value.is_none() {
                continue;
            }
            match name.as_str() {
                "host" | "port" | "username" | "password" | "database" if config.is_file => {
                    return Err(refused(&config, &name));
                }
                "path" if !config.is_file => return Err(refused(&config, &name)),
                "port" => config.port = Some(port(&value)?),
                "options" if value.cast::<PyMapping>().is_ok() => {
                    let options = PyDict::new(py);
                    options.update(value.cast::<PyMapping>()?)?;
                    for (name, value) in options {
                        let name = text("the name of an option", &name)?;
                        let value = text(&name, &value)?;
                        config.options.insert(name, value);
                    }
                }
                "host" => config.host = Some(text(&name, &value)?),
                "username" => config.user = Some(text(&name, &value)?),
                "password" if value.is_callable() => asked = Some(Callable::new(&value)),
                "password" => config.password = Some(Secret::new(text(&name, &value)?)),
                "password_command" if !config.is_file => {
                    let command = py.import("industrydb._text.password")?;
                    let command = command.call_method1("PasswordCommand", (value,))?;
                    asked = Some(Callable::new(&command));
                }
                "database" => config.database = Some(text(&name, &value)?),
                "path" => config.database = Some(path(&value)?),
                _ => {
                    config.options.insert(name.clone(), text(&name, &value)?);
                    others.push(name);
                }
            }
        }
        if let Some(asked) = &asked
            && config.password.replace(asked.secret()).is_some()
        {
            return Err(ConfigurationError::new_err(
                "there are both a password and a password_command: one is enough",
            ));
        }
        let given = [&mut config.host, &mut config.user, &mut config.database];
        for part in given {
            part.take_if(|text| text.is_empty()); // as in a URI
        }
        let meant = others.iter().map(|name| (name, meant(name)));
        let part = meant.into_iter().find(|(_, meant)| !meant.is_empty());
        match (Self::checked(py, config, asked), part) {
            (Err(_), Some((name, meant))) => Err(ConfigurationError::new_err(format!(
                "unknown argument {name:?}{meant}"
            ))),
            (checked, _) => checked,
        }
    }

    /// Create a configuration from a dict of arguments and ``"db_type"``.
    ///
    /// Raises
    /// ------
    /// ConfigurationError
    ///     As for the class itself.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig.from_dict({"db_type": "sqlite", "path": "x.db"})
    /// DatabaseConfig('sqlite', path='x.db')
    #[classmethod]
    fn from_dict(class: &Bound<'_, PyType>, config: &Bound<'_, PyAny>) -> PyResult<Self> {
        let arguments = PyDict::new(class.py());
        let mapping = config.cast::<PyMapping>();
        arguments.update(mapping.map_err(|_| wrong_type("config", "a dict", config))?)?;
        let Some(db_type) = arguments.get_item("db_type")? else {
            return Err(ConfigurationError::new_err(
                "the dict names no database: \"db_type\" is missing, which is \"postgresql\" for example",
            ));
        };
        arguments.del_item("db_type")?;
        Self::new(class.py(), &db_type, Some(&arguments))
    }

    /// Parse a URI, as `read_sql` takes one.
    ///
    /// The URLs of SQLAlchemy with a driver, ``postgresql+psycopg2://db``,
    /// and the connection strings of libpq, ``host=db dbname=shop``, are
    /// taken too.
    ///
    /// Raises
    /// ------
    /// ConfigurationError
    ///     If the text is not such a URI. The message never repeats the
    ///     text.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig.from_uri("mysql://ana:s%40cret@db")
    /// DatabaseConfig('mysql', host='db', username='ana', password='***')
    #[classmethod]
    fn from_uri(class: &Bound<'_, PyType>, uri: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = class.py();
        let text = argument("uri", uri)?;
        // The functions take SQLAlchemy's URLs and libpq's connection strings, too.
        let address = py.import("industrydb._text.address")?;
        let plain: String = address.call_method1("uri_of", (text,))?.extract()?;
        let config = from_uri(&plain).map_err(|error| to_python(py, &error))?;
        Self::checked(py, config, None)
    }

    /// Return the arguments as a dict for `from_dict`.
    ///
    /// The password is left out unless `include_secrets` is true. If a
    /// function is asked for it, it is that function.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> config = DatabaseConfig("mysql", host="db", password="s@cret")
    /// >>> config.to_dict()
    /// {'db_type': 'mysql', 'host': 'db'}
    #[pyo3(signature = (*, include_secrets = false))]
    fn to_dict<'py>(&self, py: Python<'py>, include_secrets: bool) -> PyResult<Bound<'py, PyDict>> {
        let password = self.config.password.as_ref().filter(|_| include_secrets);
        let config = PyDict::new(py);
        config.set_item("db_type", &self.config.scheme)?;
        let parts = self.parts(py, password.and_then(Secret::text))?;
        config.update(parts.as_mapping())?;
        if let Some(asked) = self.asked.as_ref().filter(|_| include_secrets) {
            config.set_item("password", asked.function(py))?;
        }
        Ok(config)
    }

    /// Return the URI, with the password if `include_secrets` is true.
    ///
    /// Raises
    /// ------
    /// ConfigurationError
    ///     If `include_secrets` is true, and the password is asked from a
    ///     function.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> config = DatabaseConfig("mysql", host="db", password="s@cret")
    /// >>> config.to_uri()
    /// 'mysql://db'
    #[pyo3(signature = (*, include_secrets = false))]
    fn to_uri(&self, include_secrets: bool) -> PyResult<String> {
        if include_secrets {
            self.with_text("a URI")?;
        }
        Ok(self.config.to_uri(include_secrets))
    }

    /// The database, by the first of its names.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig("postgres", host="db").db_type
    /// 'postgresql'
    #[getter]
    fn db_type(&self) -> &str {
        &self.config.scheme
    }

    /// The host of a server.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig("mysql", host="db").host
    /// 'db'
    #[getter]
    fn host(&self) -> Option<&str> {
        self.config.host.as_deref()
    }

    /// The port of a server.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig("mysql", host="db", port=3307).port
    /// 3307
    #[getter]
    fn port(&self) -> Option<u16> {
        self.config.port
    }

    /// The database on a server.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig.from_uri("mysql://db/shop").database
    /// 'shop'
    #[getter]
    fn database(&self) -> Option<&str> {
        self.config
            .database
            .as_deref()
            .filter(|_| !self.config.is_file)
    }

    /// The user to log in as.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig.from_uri("mysql://ana:s%40cret@db").username
    /// 'ana'
    #[getter]
    fn username(&self) -> Option<&str> {
        self.config.user.as_deref()
    }

    /// The path of an SQLite file.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig.from_uri("sqlite:///data/shop.db").path
    /// '/data/shop.db'
    #[getter]
    fn path(&self) -> Option<&str> {
        self.config
            .database
            .as_deref()
            .filter(|_| self.config.is_file)
    }

    /// The options of the database, as a URI has them.
    ///
    /// Examples
    /// --------
    /// >>> from industrydb import DatabaseConfig
    /// >>> DatabaseConfig("mssql", host="db", encrypt=False).options
    /// {'encrypt': 'false'}
    #[getter]
    fn options(&self) -> BTreeMap<String, String> {
        self.config.options.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let kind = PyString::new(py, &self.config.scheme).repr()?.to_string();
        let mut shown = vec![kind];
        for (name, value) in self.parts(py, Some("***"))? {
            shown.push(format!("{name}={}", value.repr()?));
        }
        Ok(format!("DatabaseConfig({})", shown.join(", ")))
    }

    /// Return the parts as a table for a notebook, without the password.
    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        let escape = py.import("html")?.getattr("escape")?;
        let mut rows = format!("<tr><th>db_type</th><td>{}</td></tr>", self.config.scheme);
        for (name, value) in self.parts(py, Some("***"))? {
            let value = escape.call1((value.str()?,))?;
            let _ = write!(rows, "<tr><th>{name}</th><td>{value}</td></tr>"); // a String takes all
        }
        Ok(format!(
            "<table><caption>DatabaseConfig</caption>{rows}</table>"
        ))
    }

    /// Return the configuration itself, which cannot be changed.
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Return the configuration itself, which cannot be changed.
    #[expect(unused_variables, reason = "the protocol's argument")]
    fn __deepcopy__(slf: Py<Self>, memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    /// Return the state for a pickle, with the password, so that the
    /// unpickled configuration can log in.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        self.with_text("a pickle")?;
        let from_uri = py.get_type::<Self>().getattr("from_uri")?;
        Ok((from_uri, (self.config.to_uri(true),)))
    }
}
