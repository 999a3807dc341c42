package feature

import (
	"fmt"
	"maps"
	"slices"
)

// CheckUse checks what a graph lets through but no resolve can work with: ID columns that are no columns of their own,
// and renamed or selected columns of parents that would collide. The error joins one *[FeatureError], wrapping
// [ErrSpec], for every problem.
func (f *Feature) CheckUse() error {
	c := checker{}
	c.idColumns(f.spec.IDColumns)
	for i, p := range f.parents {
		c.renames(fmt.Sprintf("deps[%d].rename", i), p)
	}
	c.suffixes(f.parents)
	c.selections(f)
	for _, problem := range c.found {
		problem.Feature = f.Key()
	}
	return joinProblems(c.found)
}

func (c *checker) idColumns(columns []string) {
	seen := map[string]bool{}
	for _, column := range columns {
		switch {
		case column == "":
			c.fail("", "id_columns", "a column without a name; name it")
		case IsSystemColumn(column):
			c.fail("", "id_columns", "%q is a system column; identify samples by columns of your own", column)
		case seen[column]:
			c.fail("", "id_columns", "%q stands there twice; name each column once", column)
		}
		seen[column] = true
	}
}

// renames checks the new names that a dependency gives to its parent's columns.
func (c *checker) renames(path string, p Parent) {
	sources := map[string]string{}
	for _, from := range slices.Sorted(maps.Keys(p.Dep.Rename)) {
		to := p.Dep.Rename[from]
		switch {
		case IsSystemColumn(to):
			c.fail("", path, "renames column %q of %q to the system column %q; choose another name", from, p.Dep.Feature, to)
		case slices.Contains(p.Feature.spec.IDColumns, to):
			c.fail("", path, "renames column %q of %q to its ID column %q; choose another name", from, p.Dep.Feature, to)
		}
		if other, taken := sources[to]; taken {
			c.fail("", path, "renames columns %q and %q of %q both to %q; choose another name for one of them",
				other, from, p.Dep.Feature, to)
		}
		sources[to] = from
	}
}

// suffixes checks that the system columns of the parents can be told apart while they are joined.
func (c *checker) suffixes(parents []Parent) {
	taken := map[string]Key{}
	for i, p := range parents {
		key := p.Feature.Key()
		other, collides := taken[key.Suffix()]
		taken[key.Suffix()] = key
		switch path := fmt.Sprintf("deps[%d].feature", i); {
		case collides && other == key:
			c.fail("", path, "depends on %q twice; keep one of the two", key)
		case collides:
			c.fail("", path, "depends on %q and %q, whose columns would share the suffix %q; rename one of the features",
				other, key, key.Suffix())
		}
	}
}

// selections checks that no column is selected from more than one parent, unless it identifies samples.
func (c *checker) selections(f *Feature) {
	count, ids := map[string]int{}, map[string]bool{}
	for _, p := range f.parents {
		for _, column := range p.selected() {
			count[column]++
		}
		for _, column := range append(p.renamedIDs(), p.OutputIDs(f)...) {
			ids[column] = true
		}
	}
	for _, column := range slices.Sorted(maps.Keys(count)) {
		if count[column] > 1 && !ids[column] {
			c.fail("", "deps", "column %q is selected more than once; rename it in one dependency or leave it out", column)
		}
	}
}

// selected returns the columns that an explicit selection keeps, system columns left out: those that it names, those
// that the lineage needs, and the ID columns unless the lineage names columns of its own.
func (p Parent) selected() []string {
	if p.Dep.Select == nil {
		return nil
	}
	columns := slices.Clone(p.Dep.Select)
	needed := p.Feature.spec.IDColumns
	if len(p.Dep.Lineage.On) > 0 {
		needed = p.Dep.Lineage.On
	}
	for _, column := range p.renamed(needed) {
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
	}
	return columns
}

// renamed returns the names that columns of the parent have in the child.
func (p Parent) renamed(columns []string) []string {
	out := make([]string, len(columns))
	for i, column := range columns {
		out[i] = column
		if to, ok := p.Dep.Rename[column]; ok {
			out[i] = to
		}
	}
	return out
}

func (p Parent) renamedIDs() []string { return p.renamed(p.Feature.spec.IDColumns) }

// OutputIDs returns the columns, by their names in the child f, that identify the parent's samples once the lineage has
// been applied: the ids of an identity, what an aggregation groups by, what an expansion starts from.
func (p Parent) OutputIDs(f *Feature) []string {
	switch p.Dep.Lineage.Kind {
	case ManyToOne:
		if p.Dep.Lineage.On == nil {
			return f.spec.IDColumns
		}
		return p.Dep.Lineage.On
	case OneToMany:
		return p.Dep.Lineage.On
	}
	return p.renamedIDs()
}
