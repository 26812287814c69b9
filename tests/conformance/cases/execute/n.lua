return { seven = 7 }
