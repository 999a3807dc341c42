// Package metaxy runs steps of a pipeline whose data is versioned sample by sample.
//
// A step computes one feature. A run resolves which samples of it are new or stale (package engine), hands them to the
// step's [Processor], commits the rows as they come (package store) and tells Dagster what happened (package pipes). A
// sample is done when its row is committed, and not before: a run that is killed loses the samples in work and nothing
// else, and the next run goes on where it ended.
//
// A program that computes a feature is a call of [Main] with a [Step]:
//
//	func main() {
//		metaxy.Main(metaxy.Step{Graph: graph, Feature: "video/crop", Process: metaxy.Each(crop)})
//	}
package metaxy
