package engine

import "fmt"

// A windowWorker decides about the samples of a window at a time. It looks at the rows where they were decoded, and writes down
// no more of each than its place and a digest.
type windowWorker struct {
	keyedWorker
	decider *keyedDecider
}

func newWindowWorker(k *keyed, found *keyedDecision, to *partitions) *windowWorker {
	w := &windowWorker{keyedWorker: makeKeyedWorker(k), decider: newKeyedDecider(k, found)}
	if to != nil {
		w.decider.out = to.writer()
	}
	return w
}

// finish hands over what was found.
func (w *windowWorker) finish(found *keyedDecision) error {
	found.add(w.decider)
	if w.decider.out != nil {
		return w.decider.out.finish()
	}
	return nil
}

// decide decides about the samples of a window.
func (w *windowWorker) decide(rows window) error {
	n := 0
	for _, part := range rows {
		n += part.to - part.from
	}
	w.decider.reset(n)
	w.decider.window = rows
	for i, part := range rows {
		if err := part.prepare(w.replaced); err != nil {
			return fmt.Errorf("read table %q: %w", part.table.scan.key, err)
		}
		if err := w.gather(uint64(i), part); err != nil {
			return fmt.Errorf("read table %q: %w", part.table.scan.key, err)
		}
	}
	return w.decider.decide()
}

// gather gives the decider the rows of a part, as take writes them to partitions.
func (w *windowWorker) gather(number uint64, part windowPart) error {
	for from := part.from; from < part.to; from += keyedBlock {
		rows := w.choose(from, min(keyedBlock, part.to-from))
		w.hashKeys(part.keys, rows)
		if err := w.place(part.table, &part.chunk, part.keyedBatch, rows); err != nil {
			return err
		}
		if !w.digest(part.table, &part.chunk, rows) {
			for i, row := range rows {
				w.digests[i] = number<<32 | uint64(row)
			}
		}
		for i := range rows {
			if digest := w.decider.newest(w.keys[i].Lo, w.keys[i].Hi, w.places[i]); digest != nil {
				*digest = w.digests[i]
			}
		}
	}
	return nil
}

// versionsOf puts the versions that a row of a window gives where a versioner looks for them.
func (rows window) versionsOf(digest uint64, source int, v *versioner) {
	part := &rows[digest>>32]
	v.take(source, part.chunk.texts, int(uint32(digest)))
}
