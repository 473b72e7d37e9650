"""Volumes that do not keep what was written to them: the proof finds them out; without a proof nothing is claimed."""

import attrs
import pytest

from holdstill import Engine
from holdstill.errors import ProofFailed, WriteFault
from holdstill.model.extents import Extents
from holdstill_testing.between import PutBetween
from holdstill_testing.fakes.memory_volume import MemoryVolume, MemoryWriter
from holdstill_testing.torture import dice
from holdstill_testing.workbench import Workbench


class Forgetful(MemoryWriter):
    """Says that it wrote everything, and changes one byte that it was given."""

    def write(self, offset, buffer):
        content = bytearray(buffer)
        at = self.volume.forgets - offset
        if 0 <= at < len(content):
            content[at] ^= 1
        super().write(offset, content)


class Liar(MemoryVolume):
    forgets = -1

    def open_writer(self):
        self.hold(exclusive=True)
        return Forgetful(self)


@pytest.fixture
def lying(scene):
    """A workbench in which the imaged volume's own path leads to another volume, full of noise."""
    liar = Liar(dice("lying").randbytes(scene.volume.stat().st_size))

    def between(volume):
        liar.facts = attrs.evolve(volume.facts, size=len(liar.data))
        return liar

    engine = Engine(PutBetween(volume=between), state=str(scene.bench.state))
    return Workbench(engine, scene.bench.repository, scene.bench.state), liar


def places(scene):
    """The first byte, the last, a superblock's, one of data, one of a hole."""
    size = scene.volume.stat().st_size
    return [0, 1024, 1 << 20, size // 2, size - 1]


@pytest.mark.parametrize("number", range(5))
def test_one_wrong_bit_anywhere_is_found_by_the_proof(scene, lying, number):
    bench, liar = lying
    liar.forgets = places(scene)[number]
    with pytest.raises(ProofFailed) as failed:
        bench.restore(scene.image, scene.volume)
    assert failed.value.exit_code == 4
    assert failed.value.next_step
    liar.forgets = -1
    assert bench.restore(scene.image, scene.volume).proved


def test_without_a_proof_nothing_is_said_to_be_proved(scene, lying):
    bench, liar = lying
    liar.forgets = 1024
    assert not bench.restore(scene.image, scene.volume, proof=False).proved


@pytest.mark.parametrize("number", range(5))
def test_a_place_that_cannot_be_written_is_an_error_that_names_it(scene, lying, number):
    bench, liar = lying
    bad = places(scene)[number] // 512 * 512
    liar.unwritable = Extents.of((bad, 512))
    with pytest.raises(WriteFault, match=str(scene.volume)):
        bench.restore(scene.image, scene.volume)
    assert bench.nothing_is_held()
