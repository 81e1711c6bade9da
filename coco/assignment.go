package coco

import "math"

// assignment returns for each row the column that it is given, each column once, so that the
// sum of the values is greatest; -1 for rows that get none, if there are more rows than
// columns. It is the shortest augmenting path algorithm of Jonker and Volgenant (Computing 38,
// 1987), in O(n³).
func assignment(values [][]float64) []int {
	rows := len(values)
	out := make([]int, rows)
	if rows == 0 {
		return out
	}
	columns := len(values[0])
	if rows > columns {
		turned := zeros(columns, rows)
		for i, row := range values {
			for j, v := range row {
				turned[j][i] = v
			}
		}
		for i := range out {
			out[i] = -1
		}
		for j, i := range assignment(turned) {
			out[i] = j
		}
		return out
	}
	// Reduced costs −v − rowPrice − columnPrice are never negative, and 0 where assigned.
	rowPrice, columnPrice := make([]float64, rows), make([]float64, columns)
	rowOf, from := make([]int, columns), make([]int, columns)
	for j := range rowOf {
		rowOf[j] = -1
	}
	distance, done := make([]float64, columns), make([]bool, columns)
	for start := range rows {
		for j := range distance {
			distance[j], done[j], from[j] = math.Inf(1), false, -1
		}
		// Dijkstra from the row to the nearest free column.
		row, last, reached := start, -1, 0.0
		for {
			next := -1
			for j := range columns {
				if done[j] {
					continue
				}
				if d := reached - values[row][j] - rowPrice[row] - columnPrice[j]; d < distance[j] {
					distance[j], from[j] = d, last
				}
				if next < 0 || distance[j] < distance[next] {
					next = j
				}
			}
			done[next], last, reached = true, next, distance[next]
			if rowOf[next] < 0 {
				break
			}
			row = rowOf[next]
		}
		rowPrice[start] += reached
		for j := range columns {
			if done[j] && j != last {
				rowPrice[rowOf[j]] += reached - distance[j]
				columnPrice[j] -= reached - distance[j]
			}
		}
		for last >= 0 { // turn the path around
			before := from[last]
			if before < 0 {
				rowOf[last] = start
			} else {
				rowOf[last] = rowOf[before]
			}
			last = before
		}
	}
	for j, i := range rowOf {
		if i >= 0 {
			out[i] = j
		}
	}
	return out
}

// zeros returns rows × columns of zeros.
func zeros(rows, columns int) [][]float64 {
	out := make([][]float64, rows)
	for i := range out {
		out[i] = make([]float64, columns)
	}
	return out
}
