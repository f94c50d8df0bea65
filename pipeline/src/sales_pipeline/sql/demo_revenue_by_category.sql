-- Revenue by product category
SELECT p.product_category,
       SUM(f.discounted_price * f.quantity) AS revenue,
       SUM(f.quantity) AS units,
       SUM(f.profit * f.quantity) AS profit
FROM fact_sales f
JOIN dim_product p ON p.product_id = f.product_id
GROUP BY p.product_category
ORDER BY revenue DESC
