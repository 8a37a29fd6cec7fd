"""What users see of industrydb, compared with what psycopg and sqlite3 see."""
