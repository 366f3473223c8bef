from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset.layout import STEMS
from cryodenoise.dataset.origin import origin_of
from workspaces import Workspace


def test_the_origin_of_every_sample_is_where_its_target_was_cut(finished: Workspace) -> None:
    record = DatasetRecord.load_document(finished / "data/dataset.json")
    places = set()
    for stem, samples in zip(STEMS, (60, 20), strict=True):
        for sample in range(samples):
            origin = origin_of(record, stem, sample)
            assert origin is not None
            segment = record.segments[origin.segment]
            assert segment.first_sample <= sample < segment.first_sample + segment.samples
            places.add((origin.micrograph, origin.y_px, origin.x_px))
        assert origin_of(record, stem, samples) is None
    names = [micrograph.name for micrograph in record.micrographs]
    assert places == {(name, y, x) for name in names for y in range(0, 65, 16) for x in range(0, 49, 16)}


def test_columns_run_fastest(finished: Workspace) -> None:
    record = DatasetRecord.load_document(finished / "data/dataset.json")
    first, second, fifth = (origin_of(record, "test", sample) for sample in (0, 1, 4))
    assert first is not None
    assert second is not None
    assert fifth is not None
    assert [(origin.y_px, origin.x_px) for origin in (first, second, fifth)] == [(0, 0), (0, 16), (16, 0)]
    assert str(first).startswith(f"segment {first.segment}, test, row 0, column 0 of synthetic_")
