"""What stands behind `industrydb.connectorx`: the frames and the errors that connectorx has."""
