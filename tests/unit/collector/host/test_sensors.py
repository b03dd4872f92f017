"""Temperatures, from folders as drivers make them."""

from pathlib import Path

from services.collector.host.sensors import find_sensors, max_temperature


def sensor(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def test_the_hottest_sensor_counts(tmp_path: Path) -> None:
    sensor(tmp_path / "class/hwmon/hwmon0/temp1_input", "45000")
    sensor(tmp_path / "class/hwmon/hwmon1/temp12_input", "61500")
    sensor(tmp_path / "class/hwmon/hwmon1/temp12_crit", "100000")
    sensor(tmp_path / "class/hwmon/hwmon1/fan1_input", "99000")
    assert max_temperature(find_sensors(tmp_path)) == 61.5


def test_thermal_zones_count_where_there_is_no_hwmon(tmp_path: Path) -> None:
    sensor(tmp_path / "class/thermal/thermal_zone0/temp", "48123")
    assert max_temperature(find_sensors(tmp_path)) == 48.123


def test_sensors_that_sleep_or_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    for number, text in enumerate(("-128000", "0", "255000", "", "40000")):
        sensor(tmp_path / f"class/hwmon/hwmon{number}/temp1_input", text)
    sensors = find_sensors(tmp_path)
    assert max_temperature(sensors) == 40.0
    sensors[4].unlink()
    assert max_temperature(sensors) is None


def test_a_machine_without_sensors_has_no_temperature(tmp_path: Path) -> None:
    assert max_temperature(find_sensors(tmp_path)) is None
