-- The ten products that bring most revenue; equal ones in the order of their titles
SELECT p.product_title,
       p.product_category,
       SUM(f.discounted_price * f.quantity) AS revenue,
       SUM(f.quantity) AS units
FROM fact_sales f
JOIN dim_product p ON p.product_id = f.product_id
GROUP BY p.product_id
ORDER BY revenue DESC, p.product_title
LIMIT 10
