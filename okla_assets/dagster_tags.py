"""Tags that Dagster gives to runs and materializations, by which we find them again."""

PARTITION = "dagster/partition"
SENSOR = "dagster/sensor_name"
WILL_RETRY = "dagster/will_retry"
PRIORITY = "dagster/priority"
MAX_RETRIES = "dagster/max_retries"
CODE_VERSION = "dagster/code_version"
DATA_VERSION = "dagster/data_version"
