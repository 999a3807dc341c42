package columnar

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// longRun is from which length on a run of equal levels is worth to be handled as one.
	longRun = 64
	// levelChunk is how many levels are decoded at a time.
	levelChunk = 4096
	// maxNestedPage bounds the entries of a page of a nested leaf, whose levels are decoded all at once.
	maxNestedPage = 1 << 26
)

// A leaf reads the values of one leaf column, row group after row group, and collects them for an Arrow array. It can
// skip rows but not go back.
type leaf struct {
	node *node
	sink sink // nil if only the levels are needed
	keep bool // keep the levels: lists and structs around the leaf are made from them

	pages *pages
	unzip decompressor
	row   int64 // of the row group, the next to be read

	// The page at hand.
	left   int // entries
	defs   hybrid
	levels []uint8 // of a flat leaf, a part at a time; of a nested one, all definition levels that are left
	reps   []uint8 // of a nested leaf, the repetition levels that are left

	// What was collected.
	slots    int
	keptDefs []uint8
	keptReps []uint8
	valid    []byte // validity bits; nil when there were no nulls yet
	nulls    int
}

// open starts reading a chunk.
func (l *leaf) open(p *pages) {
	l.pages, l.row, l.left, l.reps = p, 0, 0, nil
}

func (l *leaf) nested() bool { return l.node.rep > 0 }

// read collects the next n rows.
func (l *leaf) read(n int) error { return l.advance(n, true) }

// seek skips the rows before the given one.
func (l *leaf) seek(row int64) error {
	if row < l.row {
		return fmt.Errorf("column %q: row %d was already passed", l.node.path(), row)
	}
	if p := l.pages; p.index != nil && p.next < len(p.index) && row >= p.index[p.next].FirstRowIndex {
		if err := l.loadDictionary(); err != nil {
			return err
		}
		l.left, l.reps = 0, nil
		l.row = p.seek(row)
	}
	return l.advance(int(row-l.row), false)
}

// loadDictionary reads the dictionary page, if the chunk begins with one and it was not read yet.
func (l *leaf) loadDictionary() error {
	p := l.pages
	if p.off != p.chunk.start || p.index != nil && p.off == p.index[0].Offset {
		return nil
	}
	ok, err := p.peek()
	if !ok || err != nil || p.isData() {
		return err
	}
	return l.dictionaryPage()
}

// advance moves over n rows, collecting them or not.
func (l *leaf) advance(n int, collect bool) error {
	l.row += int64(n)
	if n > 0 && l.nested() {
		return l.advanceNested(n, collect)
	}
	for n > 0 {
		if l.left == 0 {
			passed, err := l.nextPage(n, collect)
			if err != nil {
				return err
			}
			n -= passed
			continue
		}
		k := min(n, l.left)
		if err := l.advanceFlat(k, collect); err != nil {
			return fmt.Errorf("column %q: %w", l.node.path(), err)
		}
		l.left -= k
		n -= k
	}
	return nil
}

// nextPage starts the next data page. If that lies within the n rows that are to be skipped it is passed unread.
func (l *leaf) nextPage(n int, collect bool) (passed int, err error) {
	for {
		ok, err := l.pages.peek()
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, corruptf("column %q has fewer values than rows", l.node.path())
		}
		switch {
		case l.pages.header.Type == format.DictionaryPage:
			if err := l.dictionaryPage(); err != nil {
				return 0, err
			}
		case !l.pages.isData():
			l.pages.discard()
		default:
			count := l.pages.count()
			if !collect && !l.nested() && count <= n {
				l.pages.discard()
				return count, nil
			}
			if err := l.dataPage(count); err != nil {
				return 0, fmt.Errorf("column %q: %w", l.node.path(), err)
			}
			return 0, nil
		}
	}
}

func (l *leaf) dictionaryPage() error {
	h := l.pages.header
	if h.Type != format.DictionaryPage || l.sink == nil {
		l.pages.discard()
		return nil
	}
	payload, err := l.pages.payload()
	if err != nil {
		return err
	}
	plain, err := l.unzip.page(l.pages.chunk.meta.MetaData.Codec, payload, int(h.UncompressedPageSize))
	if err == nil {
		err = l.sink.dictionary(plain, int(h.DictionaryPageHeader.V.NumValues))
	}
	if err != nil {
		return fmt.Errorf("column %q: %w", l.node.path(), err)
	}
	return nil
}

// dataPage decompresses a page and splits it into levels and values.
func (l *leaf) dataPage(count int) error {
	h := l.pages.header
	payload, err := l.pages.payload()
	if err != nil {
		return err
	}
	codec := l.pages.chunk.meta.MetaData.Codec
	var reps, defs, values []byte
	var encoding format.Encoding
	if h.Type == format.DataPageV2 {
		v2 := &h.DataPageHeaderV2.V
		encoding = v2.Encoding
		repLen, defLen := int(v2.RepetitionLevelsByteLength), int(v2.DefinitionLevelsByteLength)
		if repLen < 0 || defLen < 0 || repLen+defLen > min(len(payload), int(h.UncompressedPageSize)) {
			return corruptf("page claims levels of %d and %d bytes", repLen, defLen)
		}
		reps, defs, values = payload[:repLen], payload[repLen:repLen+defLen], payload[repLen+defLen:]
		if v2.IsCompressed.Valid && !v2.IsCompressed.V {
			codec = format.Uncompressed
		}
		if len(values) > 0 || codec == format.Uncompressed {
			values, err = l.unzip.page(codec, values, int(h.UncompressedPageSize)-repLen-defLen)
		}
	} else {
		v1 := &h.DataPageHeader.V
		encoding = v1.Encoding
		if values, err = l.unzip.page(codec, payload, int(h.UncompressedPageSize)); err != nil {
			return err
		}
		if reps, values, err = cutLevels(values, l.node.rep, v1.RepetitionLevelEncoding); err != nil {
			return err
		}
		defs, values, err = cutLevels(values, l.node.def, v1.DefinitionLevelEncoding)
	}
	if err != nil {
		return err
	}
	return l.startPage(count, reps, defs, values, encoding)
}

// cutLevels takes the levels off the front of a page of the first version.
func cutLevels(b []byte, max uint8, encoding format.Encoding) (levels, rest []byte, err error) {
	if max == 0 {
		return nil, b, nil
	}
	if encoding != format.RLE {
		return nil, nil, unsupportedf("levels are encoded as %s", encoding)
	}
	if len(b) < 4 || int(binary.LittleEndian.Uint32(b)) > len(b)-4 {
		return nil, nil, corruptf("page ends within its levels")
	}
	n := 4 + int(binary.LittleEndian.Uint32(b))
	return b[4:n], b[n:], nil
}

func (l *leaf) startPage(count int, reps, defs, values []byte, encoding format.Encoding) error {
	if l.sink != nil {
		if err := l.sink.page(encoding, values, count); err != nil {
			return err
		}
	}
	l.left = count
	l.defs = newHybrid(defs, levelWidth(l.node.def))
	if !l.nested() {
		return nil
	}
	if count > maxNestedPage {
		return unsupportedf("page has %d entries", count)
	}
	var err error
	h := newHybrid(reps, levelWidth(l.node.rep))
	if l.reps, err = allLevels(&h, l.reps, count, l.node.rep); err != nil {
		return err
	}
	l.levels, err = allLevels(&l.defs, l.levels, count, l.node.def)
	return err
}

func allLevels(h *hybrid, buf []uint8, count int, max uint8) ([]uint8, error) {
	buf = grow(buf[:0], count)
	if err := fill(h, buf); err != nil {
		return nil, err
	}
	_, err := countLevels(buf, max)
	return buf, err
}

// countLevels counts the levels that are the greatest possible, and checks that none is greater.
func countLevels(levels []uint8, max uint8) (int, error) {
	n := 0
	for _, v := range levels {
		if v >= max {
			if v > max {
				return 0, corruptf("page has level %d, of at most %d", v, max)
			}
			n++
		}
	}
	return n, nil
}

// advanceFlat moves over entries of the page at hand, of a leaf outside of lists.
func (l *leaf) advanceFlat(n int, collect bool) error {
	if l.node.def == 0 {
		return l.uniform(0, n, collect)
	}
	for n > 0 {
		level, k, err := l.defs.run(n)
		if err != nil {
			return err
		}
		if k >= longRun || k == n || k > 0 && !collect {
			err = l.uniform(uint8(level), k, collect)
		} else {
			rest := min(n, levelChunk)
			l.levels = grow(l.levels[:0], rest)
			for i := range k {
				l.levels[i] = uint8(level)
			}
			if err = fill(&l.defs, l.levels[k:]); err == nil {
				err = l.mixed(l.levels, collect)
			}
			k = rest
		}
		if err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// uniform handles n entries of one level.
func (l *leaf) uniform(level uint8, n int, collect bool) error {
	if level > l.node.def {
		return corruptf("page has level %d, of at most %d", level, l.node.def)
	}
	if !collect {
		if level == l.node.def && l.sink != nil {
			return l.sink.skip(n)
		}
		return nil
	}
	if l.keep {
		start := len(l.keptDefs)
		l.keptDefs = extend(l.keptDefs, n)
		for i := range l.keptDefs[start:] {
			l.keptDefs[start+i] = level
		}
	}
	l.mark(n, level == l.node.def)
	switch {
	case l.sink == nil:
		return nil
	case level == l.node.def:
		return l.sink.append(n)
	}
	l.sink.nulls(n)
	return nil
}

// mixed handles a slot for each level.
func (l *leaf) mixed(levels []uint8, collect bool) error {
	n, err := countLevels(levels, l.node.def)
	if err != nil {
		return err
	}
	if !collect {
		if l.sink != nil {
			return l.sink.skip(n)
		}
		return nil
	}
	if l.keep && !l.nested() {
		l.keptDefs = append(l.keptDefs, levels...)
	}
	if n == len(levels) {
		l.mark(n, true)
	} else {
		l.markLevels(levels, n)
	}
	switch {
	case l.sink == nil:
		return nil
	case n == len(levels):
		return l.sink.append(n)
	}
	return l.sink.spread(levels, l.node.def, n)
}

// mark adds n slots that are all valid or all null.
func (l *leaf) mark(n int, valid bool) {
	if !valid {
		l.nulls += n
	}
	if l.valid == nil && !valid {
		l.valid = make([]byte, bitutil.BytesForBits(int64(l.slots)))
		bitutil.SetBitsTo(l.valid, 0, int64(l.slots), true)
	}
	l.slots += n
	if l.valid != nil {
		l.growValid()
		bitutil.SetBitsTo(l.valid, int64(l.slots-n), int64(n), valid)
	}
}

func (l *leaf) markLevels(levels []uint8, valid int) {
	first := l.slots
	l.mark(len(levels), false)
	l.nulls -= valid
	for i, v := range levels {
		if v == l.node.def {
			bitutil.SetBit(l.valid, first+i)
		}
	}
}

func (l *leaf) growValid() {
	have := len(l.valid)
	if need := int(bitutil.BytesForBits(int64(l.slots))); need > have {
		l.valid = extend(l.valid, need-have)
		clear(l.valid[have:])
	}
}

// validity returns the bitmap of what was collected.
func (l *leaf) validity() *memory.Buffer {
	if l.nulls == 0 {
		return nil
	}
	return memory.NewBufferBytes(l.valid)
}

// reset forgets what was collected.
func (l *leaf) reset() {
	l.slots, l.nulls, l.valid = 0, 0, nil
	l.keptDefs, l.keptReps = l.keptDefs[:0], l.keptReps[:0]
}
