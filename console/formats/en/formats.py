"""In Django's own pages as everywhere else in the console; all times are UTC."""

DATE_FORMAT, TIME_FORMAT, DATETIME_FORMAT = "Y-m-d", "H:i:s", "Y-m-d H:i:s"
